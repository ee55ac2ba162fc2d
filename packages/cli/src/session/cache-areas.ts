import type { CacheArea } from '@lkt/oci';
import { DATABASE_DIRECTORY } from './vulnerabilities/vulnerability-databases.ts';

/** Directory of TUF metadata in the store. */
export const TUF_DIRECTORY = 'tuf';

/** Directory of the commits of collections in the store. */
export const COLLECTION_DIRECTORY = 'collections';

/** Returns every area of the store that packages of lkt keep beside its blobs. */
export async function cacheAreas(): Promise<readonly CacheArea[]> {
  const [
    { directoryArea },
    { buildCacheAreas },
    { packageCacheAreas },
    { imageCacheAreas },
    { nxCacheArea },
  ] = await Promise.all([
    import('@lkt/oci'),
    import('@lkt/builder'),
    import('@lkt/pkg'),
    import('@lkt/image'),
    import('@lkt/server'),
  ]);
  const own = [
    directoryArea('vulns', DATABASE_DIRECTORY, false),
    directoryArea('tuf', TUF_DIRECTORY, false),
    directoryArea('collections', COLLECTION_DIRECTORY, false),
  ];
  return [...buildCacheAreas, ...packageCacheAreas, ...imageCacheAreas, nxCacheArea, ...own];
}
