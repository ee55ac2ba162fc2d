import { type Digest, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { Flags } from '../flags/options.ts';
import type { RegistryFlags } from '../flags/registry.ts';
import { cacheAreas } from './cache-areas.ts';
import { openRegistries } from './registries.ts';
import type { Session } from './session.ts';

/** LinuxKit's flag. */
export const publishedOnly = {
  'published-only': Flags.boolean({
    summary: 'only images that their registries have too, with the same digest',
  }),
};

/** Those of `names` that their registries have now, as they are in the store. */
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
        // Whatever keeps it from being confirmed keeps it.
        if (!(error instanceof LktError)) throw error;
        return undefined;
      });
    if (own !== undefined && theirs?.digest === own.digest) published.push(name);
  }
  return published;
}

/** Removes names, and with them what only they needed. How many bytes that were, or would be. */
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
    // The steps that made its layers would keep them.
    only: (item) => item.area !== 'downloads' && item.blobs.some((digest) => gone.has(digest)),
  });
  return bytes;
}
