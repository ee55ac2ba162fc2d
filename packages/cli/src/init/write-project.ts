import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/** Files that may be in the directory of a new workspace. */
const HARMLESS: ReadonlySet<string> = new Set(['.git', '.DS_Store', 'LICENSE', 'README.md']);

/**
 * Writes the files of a new workspace. Writes all into a temporary directory first, and moves them
 * only when all are there.
 * @param force write into a directory with other files; existing files stay
 * @returns the written paths
 * @throws USAGE_INVALID if the directory has files; IO_FAILED
 */
export async function writeProject(
  dir: string,
  files: ReadonlyMap<string, string>,
  force: boolean,
): Promise<readonly string[]> {
  const present = (await namesIn(dir)).filter((name) => !HARMLESS.has(name));
  if (present.length > 0 && !force)
    throw new LktError('USAGE_INVALID', `${dir} has files`, {
      detail: present
        .slice(0, 20)
        .map((name) => `  ${name}`)
        .join('\n'),
      fix: 'use an empty directory; or --force, which keeps existing files',
    });
  try {
    await mkdir(dir, { recursive: true });
    const temporary = await mkdtemp(join(dir, '.lkt-init-'));
    try {
      for (const [path, text] of files) {
        await mkdir(dirname(join(temporary, path)), { recursive: true });
        await writeFile(join(temporary, path), text);
      }
      const written: string[] = [];
      for (const path of files.keys()) if (await move(temporary, dir, path)) written.push(path);
      return written;
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (cause) {
    if (cause instanceof LktError) throw cause;
    throw new LktError('IO_FAILED', `cannot write ${dir}`, { cause });
  }
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
