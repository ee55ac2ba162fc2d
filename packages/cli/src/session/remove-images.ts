import { type Digest, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { switchFlag } from '../flags/options.ts';
import type { RegistryFlags } from '../flags/registry.ts';
import { cacheAreas } from './cache-areas.ts';
import { openRegistries } from './registries.ts';
import type { Session } from './session.ts';

/** The flag of `lkt cache clean`, named as in LinuxKit. */
export const publishedOnly = {
  'published-only': switchFlag(
    'remove only images that their registries have too, with the same digest',
  ),
};

/** Returns those of `names` whose registries have the same digest as the store. */
export async function publishedNames(
  session: Session,
  flags: RegistryFlags,
  store: Store,
  names: readonly string[],
): Promise<readonly string[]> {
  const { parseReference } = await import('@lkt/oci');
  await using registry = await openRegistries(session, flags);
  const published: string[] = [];
  for (const name of names) {
    const own = await store.resolve(name);
    const theirs = await registry
      .resolve(parseReference(name), session.signal)
      .catch((error: unknown) => {
        session.signal.throwIfAborted();
        // An image that cannot be confirmed is kept.
        if (!(error instanceof LktError)) throw error;
        return undefined;
      });
    if (own !== undefined && theirs?.digest === own.digest) published.push(name);
  }
  return published;
}

/**
 * Removes images and the data that only they needed. Returns the number of bytes removed; with a
 * dry run, of those that would be.
 */
export async function removeImages(
  store: Store,
  names: ReadonlySet<string>,
  dryRun = false,
): Promise<number> {
  const areas = await cacheAreas();
  const { items } = await store.inventory(areas);
  const gone = new Set<Digest>();
  const images = items.filter(({ area }) => area === 'images');
  for (const image of images)
    if (names.has(image.name)) for (const digest of image.blobs) gone.add(digest);
  for (const image of images)
    if (!names.has(image.name)) for (const digest of image.blobs) gone.delete(digest);
  if (!dryRun) for (const name of names) await store.untag(name);
  const { bytes } = await store.prune(areas, {
    before: Infinity,
    dryRun,
    images: (name) => dryRun && names.has(name),
    // Step records would otherwise keep the removed layers.
    only: (item) => item.area !== 'downloads' && item.blobs.some((digest) => gone.has(digest)),
  });
  return bytes;
}
