import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/**
 * Returns the file system's facts about a path; undefined if it does not exist.
 * @throws LktError IO_FAILED
 */
export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  }
}

/** Reports whether a path is a directory. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory() === true;
}

/**
 * Reads a text file that the user names.
 * @param what its name in errors
 * @throws LktError NOT_FOUND
 */
export async function readGiven(cwd: string, file: string, what: string = file): Promise<string> {
  return readFile(resolve(cwd, file), 'utf8').catch(unreadable(what));
}

/** Maximum size of a small file that the user names, in bytes. */
const MAX_BYTES = 16 * 2 ** 20;

/**
 * Reads a small file that the user names.
 * @param what its name in errors
 * @throws LktError NOT_FOUND, CONFIG_INVALID if it is larger than 16 MiB
 */
export async function readGivenBytes(cwd: string, file: string, what: string): Promise<Buffer> {
  const path = resolve(cwd, file);
  if (((await statOf(path))?.size ?? 0) > MAX_BYTES)
    throw new LktError('CONFIG_INVALID', `${what} is larger than 16 MiB`);
  return readFile(path).catch(unreadable(what));
}

/** Returns a rejection handler for a file that the user gave. */
export function unreadable(what: string): (cause: unknown) => never {
  return (cause) => {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) throw cause;
    throw new LktError('NOT_FOUND', `cannot read ${what}`, { cause });
  };
}
