import type { CacheArea } from '@lkt/oci';

/** Returns every area of the store that packages of lkt keep beside its blobs. */
export async function cacheAreas(): Promise<readonly CacheArea[]> {
  const [{ buildCacheAreas }, { packageCacheAreas }, { imageCacheAreas }, { nxCacheArea }] =
    await Promise.all([
      import('@lkt/builder'),
      import('@lkt/pkg'),
      import('@lkt/image'),
      import('@lkt/server'),
    ]);
  return [...buildCacheAreas, ...packageCacheAreas, ...imageCacheAreas, nxCacheArea];
}
