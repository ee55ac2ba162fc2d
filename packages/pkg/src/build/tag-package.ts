import { type Descriptor, formatReference, type Platform, type Store, writeIndex } from '@lkt/oci';
import { hasPlatform, indexManifests, sortByArch } from '../pins/check-pin.ts';
import { targetReference, type TargetOptions } from '../pins/tag.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** LinuxKit's flags of the same names. `hash` replaces the source hash in a tag template. */
export interface Naming extends Pick<TargetOptions, 'org' | 'tag'> {
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
  naming: Naming = {},
): readonly string[] {
  const names = [naming.hash ?? hash, naming.hash ?? committed].map((own) => {
    const { tag, ...name } = targetReference(item, { hash: own }, naming);
    return formatReference({ ...name, tag: `${tag}${suffix}` });
  });
  return [...new Set(names)];
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
  const current = await Promise.all(names.map(async (name) => store.resolve(name)));
  const changed = names.filter((_, at) => current[at]?.digest !== index.digest);
  if (changed.length > 0) await store.tag(changed, index);
  return index;
}
