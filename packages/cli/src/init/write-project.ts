import { lstatSync } from 'node:fs';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { makeDirectories } from '@lkt/oci/files';

/** Files that may be in the directory of a new workspace. */
const HARMLESS: ReadonlySet<string> = new Set(['.git', '.DS_Store', 'LICENSE', 'README.md']);

/**
 * Requires a directory for a new workspace, which need not exist.
 * @param force accept one with other files
 * @throws USAGE_INVALID if it has files, or is not a directory
 */
export async function requireEmpty(dir: string, force: boolean): Promise<void> {
  const present = (await namesIn(dir)).filter((name) => !HARMLESS.has(name));
  if (present.length === 0 || force) return;
  throw new LktError('USAGE_INVALID', `${dir} has files`, {
    detail: present
      .slice(0, 20)
      .map((name) => `  ${name}`)
      .join('\n'),
    fix: 'use an empty directory; or --force, which keeps existing files',
  });
}

/**
 * Writes the files of a new workspace: all, or none. Writes them into a temporary directory first,
 * and moves them only when all are there. Existing files stay.
 * @returns the written paths
 * @throws IO_FAILED
 */
export async function writeProject(
  dir: string,
  files: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  try {
    await makeDirectories(dir);
    const temporary = await mkdtemp(join(dir, '.lkt-init-'));
    try {
      for (const [path, text] of files) {
        await mkdir(dirname(join(temporary, path)), { recursive: true });
        await writeFile(join(temporary, path), text, { mode: modeOf(path) });
      }
      return await writeAll(dir, [...files.keys()], async (path) => move(temporary, dir, path));
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (cause) {
    if (cause instanceof LktError) throw cause;
    throw new LktError('IO_FAILED', `cannot write ${dir}`, { cause });
  }
}

/**
 * Appends the lines that a file of patterns lacks. Reports whether it lacked any.
 * @throws USAGE_INVALID if it is not a regular file; IO_FAILED
 */
export async function addLines(path: string, lines: readonly string[]): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new LktError('USAGE_INVALID', `${path} is not a file`, {
      fix: `replace it by a file with the lines ${lines.join(', ')}`,
    });
  try {
    const text = await readFile(path, 'utf8');
    const present = new Set(text.split('\n').map((line) => line.trim()));
    const missing = lines.filter((line) => !present.has(line));
    const end = text === '' || text.endsWith('\n') ? '' : '\n';
    if (missing.length > 0) await appendFile(path, `${end}${missing.join('\n')}\n`);
    return missing.length > 0;
  } catch (cause) {
    throw new LktError('IO_FAILED', `cannot write ${path}`, { cause });
  }
}

/**
 * Writes new files into a workspace: all, or none.
 * @param files by path, relative to `dir`
 * @throws USAGE_INVALID if one of them exists; IO_FAILED
 */
export async function writeNew(dir: string, files: ReadonlyMap<string, string>): Promise<void> {
  const present = [...files.keys()].filter((path) => isPresent(join(dir, path)));
  if (present.length > 0)
    throw new LktError(
      'USAGE_INVALID',
      `${present.join(', ')} already exist${present.length === 1 ? 's' : ''}`,
      {
        fix: `use another name, or remove ${present.length === 1 ? 'it' : 'them'}`,
      },
    );
  try {
    await writeAll(dir, [...files.keys()], async (path) => {
      await makeDirectories(dirname(join(dir, path)));
      await writeFile(join(dir, path), files.get(path) ?? '', { flag: 'wx' });
      return true;
    });
  } catch (cause) {
    throw new LktError('IO_FAILED', `cannot write ${dir}`, { cause });
  }
}

/**
 * Writes each file. After an error removes those that were written, with their new directories.
 * @param write writes a file; false if it was already there
 * @returns the written paths
 */
async function writeAll(
  dir: string,
  paths: readonly string[],
  write: (path: string) => Promise<boolean>,
): Promise<readonly string[]> {
  const directories = new Set(
    paths.flatMap(directoriesOf).filter((one) => !isPresent(join(dir, one))),
  );
  const written: string[] = [];
  try {
    for (const path of paths) if (await write(path)) written.push(path);
    return written;
  } catch (error) {
    for (const path of written) await rm(join(dir, path), { force: true });
    for (const one of [...directories].toSorted().toReversed())
      await rmdir(join(dir, one)).catch(() => undefined);
    throw error;
  }
}

/** Returns the directories above a relative path: `pkg`, `pkg/hello`. */
function directoriesOf(path: string): readonly string[] {
  const parent = dirname(path);
  return parent === '.' ? [] : [...directoriesOf(parent), parent];
}

/** Reports whether a path exists; a dangling link does. */
function isPresent(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Others do not read private keys. */
function modeOf(path: string): number {
  return path.endsWith('.key') ? 0o600 : 0o666;
}

/** Moves a file unless its target exists. Reports whether it did. */
async function move(from: string, to: string, path: string): Promise<boolean> {
  const directory = join(to, dirname(path));
  await mkdir(directory, { recursive: true });
  if ((await namesIn(directory)).includes(basename(path))) return false;
  await rename(join(from, path), join(to, path));
  return true;
}

async function namesIn(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    if (isErrno(error, 'ENOTDIR'))
      throw new LktError('USAGE_INVALID', `${dir} is not a directory`, { fix: 'name a directory' });
    throw error;
  }
}
