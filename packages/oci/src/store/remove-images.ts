import type { Digest } from '@lkt/core';
import type { CacheArea } from './cache-area.ts';
import type { Store } from './store.ts';

/**
 * Removes tagged images and the data that only they needed. Returns the number of bytes removed;
 * with a dry run, of those that would be.
 */
export async function removeImages(
  store: Store,
  areas: readonly CacheArea[],
  names: ReadonlySet<string>,
  dryRun = false,
): Promise<number> {
  const { items } = await store.inventory(areas);
  const images = items.filter(({ area }) => area === 'images');
  const kept = new Set(images.filter(({ name }) => !names.has(name)).flatMap(({ blobs }) => blobs));
  const gone = new Set<Digest>(
    images
      .filter(({ name }) => names.has(name))
      .flatMap(({ blobs }) => blobs)
      .filter((digest) => !kept.has(digest)),
  );
  if (!dryRun) for (const name of names) await store.untag(name);
  const { bytes } = await store.prune(areas, {
    before: Infinity,
    dryRun,
    images: (name) => dryRun && names.has(name),
    // Step records would otherwise keep the removed layers.
    only: ({ area, blobs }) => area !== 'downloads' && blobs.some((digest) => gone.has(digest)),
  });
  return bytes;
}
