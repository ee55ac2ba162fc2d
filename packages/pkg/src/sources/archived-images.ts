import { LktError } from '@lkt/core';
import { loadImage, type Platform } from '@lkt/oci';
import type { BuiltPackage } from '../build/built-package.ts';
import type { ArchivedImage } from './image-archives.ts';
import { checkOther, type OtherImages } from '../build/other-images.ts';
import { checkPin } from '../pins/check-pin.ts';
import type { Recipe } from '../build/recipe.ts';
import type { Package } from '../workspace/workspace.ts';

/**
 * Returns the images of `depends` for a platform, from the store.
 * @throws PIN_STALE, NOT_FOUND at the reference
 */
export async function archivedImages(
  { archived }: Recipe,
  platform: Platform,
  used: ReadonlyMap<Package, BuiltPackage>,
  others: OtherImages,
): Promise<readonly ArchivedImage[]> {
  const found: ArchivedImage[] = [];
  for (const { reference, package: item, error } of archived) {
    const built = item && used.get(item);
    const problem =
      built === undefined
        ? await checkOther(reference, [platform], others)
        : await checkPin(reference, built, others.store);
    if (problem !== undefined) {
      // `lkt pin` edits Dockerfiles and image configs, but not this file.
      const fix = built === undefined ? problem.fix : `change the digest to ${built.index.digest}`;
      throw error(problem.code, problem.message, fix);
    }
    const image = await loadImage(others.store, reference.digest, platform).catch(
      (cause: unknown) => {
        if (!(cause instanceof LktError) || cause.code !== 'NOT_FOUND') throw cause;
        throw error(cause.code, cause.message);
      },
    );
    found.push({ reference, image });
  }
  return found;
}
