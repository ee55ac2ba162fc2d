import { type Digest, sourceError } from '@lkt/core';
import { type Descriptor, parsePlatform, type Store, writeIndex } from '@lkt/oci';
import type { BuiltPackage } from './built-package.ts';
import { checkOther, type OtherImages } from './other-images.ts';
import { checkPin, inOrder, type ReferenceProblem, samePlatform } from '../pins/check-pin.ts';
import type { ImageUse, Recipe } from './recipe.ts';
import type { Package } from '../workspace/workspace.ts';

/**
 * The images in the store for what a Dockerfile names, by the text there.
 *
 * A package that is named by a calculated argument, which has no digest, is an index of the images that are used and no
 * others: so the result for one platform does not depend on which others are built with it.
 * @param recipe for one platform
 * @throws LktError PIN_MISSING, PIN_STALE, NOT_FOUND at the place in the Dockerfile
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
  const known = inOrder(item, [...images, ...others]);
  const wanted = uses.filter((use) => use.text === text).map((use) => parsePlatform(use.platform));
  const found: Descriptor[] = known.filter((image) =>
    wanted.some((platform) => samePlatform(image, platform)),
  );
  const isWhole = wanted.every((platform) => found.some((image) => samePlatform(image, platform)));
  return isWhole ? (await writeIndex(store, found)).digest : undefined;
}
