import { type Digest, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { cacheAreas } from '../cache-areas.ts';
import { LktCommand } from '../command.ts';
import { Args } from '../options.ts';

export class CacheRm extends LktCommand {
  static override summary = 'Remove images from the store';
  static override description =
    'An image that others share layers with leaves these layers; the rest is deleted at once, unless a running build uses it.';
  static override args = {
    image: Args.string({
      description: 'a reference, as "lkt cache ls" prints it, or one without tag for all its tags',
      required: true,
      multiple: true,
    }),
  };

  async run(): Promise<{ removed: readonly string[]; bytes: number }> {
    const { args, flags } = await this.parse(CacheRm);
    const session = await this.begin(flags);
    const { familiarReference, formatReference, parseReference } = await import('@lkt/oci');
    const store = await session.findStore();
    const tags = ((await store?.tags()) ?? []).map(({ reference }) => reference);
    const removed: string[] = [];
    for (const text of args.image) {
      const wanted = formatReference(parseReference(text));
      const found = tags.filter(
        (tag) => tag === wanted || tag.startsWith(`${wanted}:`) || tag.startsWith(`${wanted}@`),
      );
      if (found.length === 0) {
        throw new LktError('NOT_FOUND', `${text} is not in the store`, {
          fix: 'see what is: lkt cache ls',
        });
      }
      removed.push(...found);
    }
    const bytes = store === undefined ? 0 : await removeImages(store, new Set(removed));
    const names = removed.map((tag) => familiarReference(parseReference(tag)));
    for (const name of names) this.log(`removed ${name}`);
    return { removed: names, bytes };
  }
}

/** Removes names, and with them what only they needed. How many bytes that were. */
async function removeImages(store: Store, names: ReadonlySet<string>): Promise<number> {
  const areas = await cacheAreas();
  const { items } = await store.inventory(areas);
  const gone = new Set<Digest>();
  const images = items.filter(({ area }) => area === 'images');
  for (const image of images)
    if (names.has(image.name)) for (const digest of image.blobs) gone.add(digest);
  for (const image of images)
    if (!names.has(image.name)) for (const digest of image.blobs) gone.delete(digest);
  for (const name of names) await store.untag(name);
  const { bytes } = await store.prune(areas, {
    before: Infinity,
    // The steps that made its layers would keep them.
    only: (item) => item.area !== 'downloads' && item.blobs.some((digest) => gone.has(digest)),
  });
  return bytes;
}
