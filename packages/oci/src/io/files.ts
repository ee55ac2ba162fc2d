import { readdirSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { ioError, isErrno } from '@lkt/core';

/**
 * Reports whether a file, directory or symlink exists at `path`. A dangling symlink exists.
 * @throws IO_FAILED if the path cannot be accessed
 */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw ioError(`cannot access ${path}`, error);
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

export { touch } from './touch.ts';
export { type KeySource, SealedFiles } from '../store/sealed-files.ts';
export { type KeyEnvironment, loadStoreKey } from '../store/store-key.ts';
