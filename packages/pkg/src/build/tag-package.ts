import {
  type Descriptor,
  formatReference,
  parseReference,
  type Platform,
  type Store,
  writeIndex,
} from '@lkt/oci';
import { indexManifests, sortByArch, hasPlatform } from '../pins/check-pin.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { renderTag } from '../pins/tag.ts';
import type { Package } from '../workspace/workspace.ts';

/** A package to tag in the store. */
export interface TaggedPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  /** Suffix of the tags. */
  readonly suffix: string;
  /** Manifests, one per built platform. */
  readonly images: readonly Descriptor[];
}

/**
 * Tags a package in the store with the tag of its sources, and with the tag they will have once
 * committed, which pins contain.
 *
 * Replaces an existing index, but keeps its images for other platforms if they are of the same
 * sources. As in LinuxKit, a build for some platforms extends the index of an earlier one.
 * @param isCurrent reports whether the image for a platform is the result of the current sources
 * @returns the names, and the kept images for other platforms
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
  const references = [...tags].map((tag) => formatReference({ ...name, tag: `${tag}${suffix}` }));
  let others: readonly Descriptor[] = [];
  // The last tag is of the committed sources; its index is extended.
  const last = references.at(-1);
  const present = last === undefined ? undefined : await store.resolve(last);
  if (present !== undefined) {
    const foreign = (await indexManifests(store, present.digest)).filter(
      ({ platform }) =>
        platform !== undefined &&
        item.arches.includes(platform.architecture) &&
        !images.some((image) => hasPlatform(image, platform)),
    );
    const current = await Promise.all(
      foreign.map(async (image) =>
        image.platform === undefined ? false : isCurrent(image, image.platform),
      ),
    );
    others = foreign.filter((_image, index) => current[index] === true);
  }
  const index = await writeIndex(store, sortByArch(item, [...images, ...others]));
  for (const reference of references) {
    if ((await store.resolve(reference))?.digest !== index.digest)
      await store.tag(reference, index);
  }
  return { references, others };
}
