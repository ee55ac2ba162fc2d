import { cacheFilePath, readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex } from '@lkt/core';
import type { DebFile } from '@lkt/debian';
import type { Store } from '@lkt/oci';

/**
 * Formats one line of the owners file of an image made from Debian packages: package, size, path.
 */
export function ownerLine({ item, path, size }: DebFile): string {
  return `${item.name} ${size} ${JSON.stringify(path)}`;
}

/** Writes the cache file that maps each file of an image to its Debian package. */
export async function writeOwners(
  store: Store,
  image: Digest,
  files: readonly DebFile[],
): Promise<void> {
  await writeCacheFile(
    store,
    cacheFilePath(store, 'owners', digestHex(image)),
    files.map(ownerLine),
  );
}

/** Returns the lines of the owners file of an image; undefined without one. */
export function readOwners(store: Store, image: Digest): readonly string[] | undefined {
  return readCacheFile(store, cacheFilePath(store, 'owners', digestHex(image)));
}
