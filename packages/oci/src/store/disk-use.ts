import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { isErrno } from '@lkt/core';

/** Returns the bytes a file or directory itself occupies on disk. */
export function diskUse(stats: Stats): number {
  return stats.blocks * 512;
}

/** Returns the names in a directory; empty if it is missing or not readable. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw error;
  }
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
