import { type Store, writeIndex } from '@lkt/oci';
import type { AttestedPackage } from '../attest/attestations.ts';
import type { Attester } from '../attest/attester.ts';
import type { BuiltPackage } from './built-package.ts';
import { sortByArch } from '../pins/check-pin.ts';
import { type TaggedPackage, tagPackage } from './tag-package.ts';

/** Tags a built package in the store, and attests it. */
export async function nameAndAttest(
  { item, hash, images: made }: Pick<AttestedPackage, 'item' | 'hash' | 'images'>,
  tagged: TaggedPackage,
  { store, attester }: { readonly store: Store; readonly attester: Attester },
  isCurrent: Parameters<typeof tagPackage>[2],
): Promise<Pick<BuiltPackage, 'index' | 'others' | 'references' | 'attestations'>> {
  const { images } = tagged;
  const { references, others } = await tagPackage(store, tagged, isCurrent);
  const index = await writeIndex(store, images);
  const named =
    others.length === 0 ? index : await writeIndex(store, sortByArch(item, [...images, ...others]));
  const attestations = await attester.attest({ item, hash, images: made, others, index: named });
  return { index, others, references, attestations };
}
