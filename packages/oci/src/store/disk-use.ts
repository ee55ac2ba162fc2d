import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import { namesIn } from '../io/files.ts';

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

/** Returns the accessible entries of a directory of a store, with their path in the store. */
export function entriesIn(
  store: string,
  directory: string,
): readonly { readonly name: string; readonly path: string; readonly stats: Stats }[] {
  return namesIn(join(store, directory), { mayBeUnreadable: true }).flatMap((file) => {
    const name = join(directory, file);
    const path = join(store, name);
    const stats = statsOf(path);
    return stats === undefined ? [] : [{ name, path, stats }];
  });
}
