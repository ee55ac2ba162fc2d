import { lstatSync, type Stats } from 'node:fs';
import { isErrno } from '@lkt/core';

/** Returns the bytes a file or directory itself occupies on disk. */
export function diskUse(stats: Stats): number {
  return stats.blocks * 512;
}

/** Returns lstat(2) of a path; undefined if it is missing or not accessible. */
export function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw error;
  }
}
