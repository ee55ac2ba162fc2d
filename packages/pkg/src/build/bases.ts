import { type Digest, sourceError } from '@lkt/core';
import { type Descriptor, parsePlatform, type Store, writeIndex } from '@lkt/oci';
import type { BuiltPackage } from './built-package.ts';
import { checkOther, type OtherImages } from './other-images.ts';
import { checkPin, sortByArch, type ReferenceProblem, hasPlatform } from '../pins/check-pin.ts';
import type { ImageUse, Recipe } from './recipe.ts';
import type { Package } from '../workspace/workspace.ts';

/**
 * Returns the digests of the images that a Dockerfile references, keyed by the text of the
 * reference.
 *
 * A calculated argument names a package without a digest. Its digest here is of an index with the
 * used images only, so that the result does not depend on the other platforms of the build.
 * @param recipe the recipe for one platform
 * @throws PIN_MISSING, PIN_STALE, NOT_FOUND at the position in the Dockerfile
 */
export async function basesFor(
  recipe: Recipe,
  used: ReadonlyMap<Package, BuiltPackage>,
  others: OtherImages,
): Promise<ReadonlyMap<string, Digest>> {
  const bases = new Map<string, Digest>();
  for (const use of recipe.uses) {
    const built = use.package && used.get(use.package);
    const problem = await problemOf(use, built, others);
    if (problem !== undefined) {
      const { code, message, ...rest } = problem;
      const { position, length, similarStage } = use;
      const meant =
        code === 'PIN_MISSING' && similarStage !== undefined
          ? { fix: `did you mean the stage ${similarStage}?` }
          : {};
      throw sourceError(code, recipe.dockerfile.file, position, message, {
        length,
        ...rest,
        ...meant,
      });
    }
    const digest =
      built !== undefined && use.calculated
        ? await indexFor(recipe.uses, use.text, built, others.store)
        : use.parsed.digest;
    if (digest !== undefined) bases.set(use.text, digest);
  }
  return bases;
}

async function problemOf(
  use: ImageUse,
  built: BuiltPackage | undefined,
  others: OtherImages,
): Promise<ReferenceProblem | undefined> {
  if (built === undefined) return checkOther(use.parsed, [parsePlatform(use.platform)], others);
  return use.calculated ? undefined : checkPin(use.parsed, built, others.store);
}

async function indexFor(
  uses: readonly ImageUse[],
  text: string,
  { item, images, others }: BuiltPackage,
  store: Store,
): Promise<Digest | undefined> {
  const known = sortByArch(item, [...images, ...others]);
  const wanted = uses.filter((use) => use.text === text).map((use) => parsePlatform(use.platform));
  const found: Descriptor[] = known.filter((image) =>
    wanted.some((platform) => hasPlatform(image, platform)),
  );
  const isWhole = wanted.every((platform) => found.some((image) => hasPlatform(image, platform)));
  return isWhole ? (await writeIndex(store, found)).digest : undefined;
}
