import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Repository } from '@lkt/git';
import { withoutIgnored } from '@lkt/dockerfile';
import type { ContextFile } from '@lkt/builder/inputs';
import { isErrno, LktError, readSource } from '@lkt/core';
import { fromRaw, type RawPath, toRaw } from '@lkt/oci';

/** A directory that is part of a build context. */
export interface ContextRoot {
  /** Absolute path without symlinks. */
  readonly dir: string;
  /** Path of its files in the context; empty for the top. */
  readonly destination: RawPath;
  /** Undefined outside git. */
  readonly repository: Repository | undefined;
}

/**
 * Returns the files of a build context, sorted by path. In git: the files that are tracked or would
 * be, exactly those that the source hash covers. Outside git: all files. Omits those in
 * .dockerignore. Does not follow symlinks. A later root overrides an earlier one, as in LinuxKit.
 * @throws UNSUPPORTED for a submodule, a file left out by a sparse checkout, a name that is not
 * UTF-8
 * @throws IO_FAILED if a directory cannot be read
 */
export async function contextFiles(
  roots: readonly ContextRoot[],
  dockerfile: string,
  displayPath: (path: string) => string,
): Promise<readonly ContextFile[]> {
  const files = new Map<RawPath, ContextFile>();
  for (const { dir, destination, repository } of roots) {
    const found = repository === undefined ? await walk(dir, '') : trackedFiles(repository, dir);
    for (const { path: inside, source } of found) {
      const path = destination === '' ? inside : `${destination}/${inside}`;
      files.set(path, { path, source });
    }
  }
  const sorted = [...files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const show = (file: ContextFile): string => displayPath(file.source);
  const textOf = async (file: ContextFile): Promise<string> =>
    readSource(file.source, show(file)).text;
  return withoutIgnored(sorted, dockerfile, textOf, show);
}

function trackedFiles(repository: Repository, dir: string): readonly ContextFile[] {
  const top = repository.pathOf(dir);
  return repository.files(top).map(({ path, mode, skipped }) => {
    const name = fromRaw(path);
    if (skipped === true) {
      throw new LktError('UNSUPPORTED', `${name} is not checked out: the checkout is sparse`, {
        fix: `run: git sparse-checkout add ${fromRaw(top)}`,
      });
    }
    if (mode === SUBMODULE || path.endsWith('/')) {
      throw new LktError(
        'UNSUPPORTED',
        `${name.replace(/\/$/, '')} is a git repository of its own`,
        {
          fix: 'put its files into this repository, or fetch them in a separate image',
        },
      );
    }
    if (toRaw(name) !== path) throw notUtf8(name);
    return {
      path: top === '' ? path : path.slice(top.length + 1),
      source: join(repository.root, name),
    };
  });
}

const SUBMODULE = '160000';

async function walk(dir: string, below: RawPath): Promise<ContextFile[]> {
  const files: ContextFile[] = [];
  for (const entry of await entriesOf(dir, below)) {
    const name = entry.name.toString();
    if (below === '' && name === '.git') continue;
    const raw = entry.name.toString('latin1');
    const path = below === '' ? raw : `${below}/${raw}`;
    if (toRaw(name) !== raw) throw notUtf8(fromRaw(path));
    const source = join(dir, name);
    if (entry.isDirectory()) files.push(...(await walk(source, path)));
    else files.push({ path, source });
  }
  return files;
}

async function entriesOf(dir: string, below: RawPath): Promise<readonly Dirent<Buffer>[]> {
  try {
    return await readdir(dir, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'ENOENT', 'ENOTDIR', 'EIO')) throw error;
    const where = below === '' ? dir : `${fromRaw(below)} of the build context`;
    throw new LktError('IO_FAILED', `cannot read ${where}`, { cause: error });
  }
}

function notUtf8(name: string): LktError {
  return new LktError('UNSUPPORTED', `the name ${JSON.stringify(name)} is not UTF-8`, {
    fix: 'rename it, or let git ignore it',
  });
}
