// Kept small and without large imports: a build whose images are all described loads only this
// file.

import { join } from 'node:path';
import type { Store } from '@lkt/oci';

/** Returns the path of a file that caches facts derived from the store. */
export function cacheFilePath(store: Store, kind: string, name: string): string {
  return join(store.dir, 'attestations', kind, name);
}

/** Returns the lines of a cache file, or undefined if it is missing or not sealed by the store. */
export function readCacheFile({ sealed }: Store, path: string): readonly string[] | undefined {
  return sealed.read(path)?.split('\n').slice(0, -1);
}

/** Writes the lines to a cache file, atomically, and returns them. */
export async function writeCacheFile(
  store: Store,
  path: string,
  lines: readonly string[],
): Promise<readonly string[]> {
  await store.putSealed(path, lines.map((line) => `${line}\n`).join(''));
  return lines;
}
