import { lstat, utimes } from 'node:fs/promises';
import { isErrno } from '@lkt/core';
import { storeError } from './fs-error.ts';

/** Whether something is there, and is marked as used now if that can be. */
export async function touch(path: string): Promise<boolean> {
  try {
    const stats = await lstat(path);
    const now = new Date();
    if (stats.isDirectory()) await utimes(path, stats.atime, stats.mtime);
    else await utimes(path, now, now);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    if (isErrno(error, 'EROFS', 'EACCES', 'EPERM')) return true;
    throw storeError(`cannot look at ${path}`, error);
  }
}
