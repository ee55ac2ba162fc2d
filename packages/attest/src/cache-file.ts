// Kept small and without large imports: a build whose images are all described loads only this
// file.

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import type { Store } from '@lkt/oci';

/** Last line of a complete file; a file that a crash cut short lacks it. */
const END = 'end';

/** Returns the path of a file that caches facts derived from the store. */
export function cacheFilePath(store: Store, kind: string, name: string): string {
  return join(store.dir, 'attestations', kind, name);
}

/** Returns the lines of a cache file, or undefined if it is missing or incomplete. */
export async function readCacheFile(path: string): Promise<readonly string[] | undefined> {
  try {
    const lines = (await readFile(path, 'utf8')).split('\n');
    return lines.pop() === END ? lines : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Writes the lines to a cache file, atomically, and returns them. */
export async function writeCacheFile(
  path: string,
  lines: readonly string[],
): Promise<readonly string[]> {
  await mkdir(join(path, '..'), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, [...lines, END].join('\n'));
  await rename(temporary, path);
  return lines;
}
