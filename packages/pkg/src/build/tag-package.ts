import { type Descriptor, parseReference, type Platform, type Store, writeIndex } from '@lkt/oci';
import { indexManifests, inOrder, samePlatform, storeName } from '../pins/check-pin.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { renderTag } from '../pins/tag.ts';
import type { Package } from '../workspace/workspace.ts';

/** What to name in the store. */
export interface TaggedPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  /** What the tags end in. */
  readonly suffix: string;
  /** One for each platform that was built. */
  readonly images: readonly Descriptor[];
}

/**
 * Names a package in the store by its tag, and by the tag it will have once its sources are committed, which is the one
 * in pins.
 *
 * What has the name already is replaced, except for its images for other platforms that these sources give too: a build
 * for some platforms adds to the index of an earlier one, as in LinuxKit.
 * @param isCurrent whether the image for a platform, built now, would be this one
 * @returns the names, and the images for other platforms that were kept
 */
export async function tagPackage(
  store: Store,
  { item, hash, suffix, images }: TaggedPackage,
  isCurrent: (image: Descriptor, platform: Platform) => Promise<boolean>,
): Promise<{ references: readonly string[]; others: readonly Descriptor[] }> {
  const name = parseReference(item.name);
  const tags = new Set([
    renderTag(item.tag, hash.hash),
    renderTag(item.tag, hash.committed ?? hash.hash),
  ]);
  const references = [...tags].map((tag) => storeName(name, `${tag}${suffix}`));
  let others: readonly Descriptor[] = [];
  // The last is of the clean sources, and so the one that is added to.
  const last = references.at(-1);
  const present = last === undefined ? undefined : await store.resolve(last);
  if (present !== undefined) {
    const foreign = (await indexManifests(store, present.digest)).filter(
      ({ platform }) =>
        platform !== undefined &&
        item.arches.includes(platform.architecture) &&
        !images.some((image) => samePlatform(image, platform)),
    );
    const current = await Promise.all(
      foreign.map(async (image) =>
        image.platform === undefined ? false : isCurrent(image, image.platform),
      ),
    );
    others = foreign.filter((_image, index) => current[index] === true);
  }
  const index = await writeIndex(store, inOrder(item, [...images, ...others]));
  for (const reference of references) {
    if ((await store.resolve(reference))?.digest !== index.digest)
      await store.tag(reference, index);
  }
  return { references, others };
}
