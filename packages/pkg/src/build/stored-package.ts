import { type Digest, LktError } from '@lkt/core';
import { familiarReference, parseReference } from '@lkt/oci';
import type { SourceHash } from '../sources/source-hash.ts';
import { allPlatforms } from '../workspace/platforms.ts';
import type { Package } from '../workspace/workspace.ts';
import type { BuildTools } from './build-options.ts';
import type { Recipe } from './recipe.ts';

/** The names and files in the store that the result of a package consists of. */
export interface StoredPackage {
  /** The names of the package, and their digests. */
  readonly names: ReadonlyMap<string, Digest>;
  /** The names, without tag, of used images that were not built. */
  readonly otherNames: readonly string[];
  /** Its files, if it was in the store. */
  readonly paths: readonly string[];
}

/** An image in the store, with the recipe that it was looked up by. */
export interface StoredImage {
  readonly paths: readonly string[];
  readonly recipe: Recipe | undefined;
}

/**
 * Returns the hashes that a build reads for a package, on all platforms: its own, and those of the
 * packages that it names. Undefined if one of them has an error.
 */
export async function readHashes(
  item: Package,
  { namesOnly, sources }: BuildTools,
): Promise<ReadonlyMap<Package, SourceHash> | undefined> {
  try {
    const recipe = await namesOnly(item, allPlatforms(item));
    const uses = [...(recipe?.uses ?? []), ...(recipe?.archived ?? [])];
    const named = [...uses.flatMap((use) => use.package ?? []), ...(recipe?.argPackages ?? [])];
    return new Map([item, ...named].map((one) => [one, sources.hash(one)]));
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return undefined;
  }
}

/**
 * Returns the names, without tag, of the images that recipes use and that are not built.
 * @param taken packages whose images are used without a build
 */
export function otherNames(
  images: readonly StoredImage[],
  taken: ReadonlySet<Package>,
): readonly string[] {
  const names = images.flatMap(({ recipe }) => [
    ...(recipe?.uses ?? []).map((use) => ({ item: use.package, reference: use.parsed })),
    ...(recipe?.archived ?? []).map((use) => ({ item: use.package, reference: use.reference })),
  ]);
  return names
    .filter(({ item }) => item === undefined || taken.has(item))
    .map(({ item, reference }) => {
      const { domain, path } = item === undefined ? reference : parseReference(item.name);
      return familiarReference({ domain, path });
    });
}
