import {
  type Descriptor,
  formatReference,
  parseReference,
  type Platform,
  type Store,
  writeIndex,
} from '@lkt/oci';
import { hasPlatform, indexManifests, sortByArch } from '../pins/check-pin.ts';
import { renderTag } from '../pins/tag.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** LinuxKit's flags of the same names. `hash` replaces the source hash in a tag template. */
export interface Naming {
  readonly org?: string;
  readonly tag?: string;
  readonly hash?: string;
}

/**
 * Returns the names of a package in the store: by the hash of its sources, and last by the hash
 * that they will have once committed, which pins contain.
 * @param suffix of the tags
 */
export function storeNames(
  item: Package,
  { hash, committed = hash }: SourceHash,
  suffix: string,
  { org = item.org, tag = item.tag, hash: given }: Naming = {},
): readonly string[] {
  const { domain, path } = parseReference(org === item.org ? item.name : `${org}/${item.image}`);
  const tags = [given ?? hash, given ?? committed].map((own) => `${renderTag(tag, own)}${suffix}`);
  return [...new Set(tags)].map((own) => formatReference({ domain, path, tag: own }));
}

/**
 * Returns the images of the existing index under a name that are for other platforms. As in
 * LinuxKit, a build for some platforms extends the index of an earlier one.
 */
export async function imagesForOthers(
  store: Store,
  { arches }: Package,
  name: string,
  images: readonly Descriptor[],
): Promise<readonly (Descriptor & { readonly platform: Platform })[]> {
  const present = await store.resolve(name);
  if (present === undefined) return [];
  return (await indexManifests(store, present.digest)).flatMap((image) => {
    const { platform } = image;
    if (platform === undefined || !arches.includes(platform.architecture)) return [];
    return images.some((own) => hasPlatform(own, platform)) ? [] : [{ ...image, platform }];
  });
}

/** Sets the names of a package in the store to the index of these images, which it returns. */
export async function tagPackage(
  store: Store,
  item: Package,
  names: readonly string[],
  images: readonly Descriptor[],
): Promise<Descriptor> {
  const index = await writeIndex(store, sortByArch(item, images));
  for (const name of names)
    if ((await store.resolve(name))?.digest !== index.digest) await store.tag(name, index);
  return index;
}
