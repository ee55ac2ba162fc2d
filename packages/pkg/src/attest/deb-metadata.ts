import { cacheFilePath, readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex, digestOf, undefinedIf } from '@lkt/core';
import type { DebianLock, DebMetadata } from '@lkt/debian';
import type { Store } from '@lkt/oci';

/** Bump when the metadata of the same packages change. */
const VERSION = 2;

function pathOf(store: Store, image: Digest): string {
  return cacheFilePath(store, 'debs', digestHex(digestOf(`debs ${VERSION} ${image}`)));
}

/** Metadata of the packages of a lock, by name. */
export type MetadataByName = ReadonlyMap<string, DebMetadata>;

/** Writes the cache file with licences and incorporated sources of the packages in an image. */
export async function writeDebMetadata(
  store: Store,
  image: Digest,
  metadata: readonly DebMetadata[],
): Promise<readonly string[]> {
  return writeCacheFile(
    store,
    pathOf(store, image),
    metadata.map((one) => JSON.stringify(one)),
  );
}

/**
 * Returns the metadata of the packages in an image made from .debs. Reads the .debs if it was not
 * kept; none is known if the store no longer has these.
 */
export async function readDebMetadata(
  store: Store,
  image: Digest,
  lock: DebianLock,
  signal: AbortSignal | undefined,
): Promise<MetadataByName> {
  const lines =
    readCacheFile(store, pathOf(store, image)) ?? (await readDebs(store, image, lock, signal));
  const all = lines.map((line) => JSON.parse(line) as DebMetadata);
  return new Map(all.map((one) => [one.name, one]));
}

async function readDebs(
  store: Store,
  image: Digest,
  lock: DebianLock,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const { debMetadata } = await import('@lkt/debian');
  const found = await debMetadata(lock, store, signal).catch(undefinedIf('NOT_FOUND'));
  return found === undefined ? [] : writeDebMetadata(store, image, found);
}
