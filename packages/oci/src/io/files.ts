import { lstatSync, readdirSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ioError, isErrno } from '@lkt/core';

/**
 * Reports whether a file, directory or symlink exists at `path`. A dangling symlink exists.
 * Synchronous, because the thread pool takes ten times as long.
 * @throws IO_FAILED if the path cannot be accessed
 */
export function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) return false;
    throw ioError(`cannot access ${path}`, error);
  }
}

/**
 * Creates a directory and its missing parents.
 *
 * The `recursive` of Node's mkdir never ends where mkdir(2) answers ENOENT although the parent
 * exists, as in /proc. Use this function for a path that the user gives.
 * @returns the outermost directory that was created; undefined if `path` is a directory already
 */
export async function makeDirectories(path: string): Promise<string | undefined> {
  try {
    if ((await stat(path)).isDirectory()) return undefined;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  const parent = dirname(path);
  const first = parent === path ? undefined : await makeDirectories(parent);
  try {
    await mkdir(path);
    return first ?? path;
  } catch (error) {
    // Another process was faster.
    if (isErrno(error, 'EEXIST') && (await stat(path)).isDirectory()) return first;
    throw error;
  }
}

/**
 * Returns the names in a directory, in no order; none if the directory does not exist.
 * @param options.mayBeUnreadable returns no names, too, for a directory that this user may not read
 * @throws IO_FAILED
 */
export function namesIn(
  path: string,
  { mayBeUnreadable = false }: { readonly mayBeUnreadable?: boolean } = {},
): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    if (mayBeUnreadable && isErrno(error, 'EACCES')) return [];
    throw ioError(`cannot read ${path}`, error);
  }
}

export { type FileState, fileState, isSettled } from './file-state.ts';
export { touch } from './touch.ts';
export { type KeySource, SealedFiles } from '../store/sealed-files.ts';
export { type KeyEnvironment, loadStoreKey } from '../store/store-key.ts';
