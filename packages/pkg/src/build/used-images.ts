import { type Digest, LktError, sourceError } from '@lkt/core';
import {
  formatReference,
  loadImage,
  parsePlatform,
  type Platform,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import type { BuildTools } from './build-options.ts';
import type { BuiltPackage } from './built-package.ts';
import { checkReference } from './other-images.ts';
import { hasPlatform, sortByArch } from '../pins/check-pin.ts';
import type { ImageUse, Recipe } from './recipe.ts';
import type { ArchivedImage } from '../sources/image-archives.ts';
import type { Package } from '../workspace/workspace.ts';

/** The images that a build uses. */
export interface UsedImages {
  /** Digests of base images, keyed by the text of the reference. */
  readonly bases: ReadonlyMap<string, Digest>;
  /** The images to put into the build context. */
  readonly archived: readonly ArchivedImage[];
}

/**
 * Returns the images that a Dockerfile and `depends` reference.
 *
 * A calculated argument names a package without a digest. Its digest here is of an index with the
 * used images only, so that the result does not depend on the other platforms of the build.
 * @param item the package that is built
 * @param recipe its recipe for this platform
 * @param used the built packages that it uses
 * @throws PIN_MISSING, PIN_STALE, NOT_FOUND at the position of the reference
 */
export async function usedImages(
  item: Package,
  recipe: Recipe,
  platform: Platform,
  used: ReadonlyMap<Package, BuiltPackage>,
  tools: BuildTools,
): Promise<UsedImages> {
  const bases = new Map<string, Digest>();
  for (const use of recipe.uses) {
    const digest = await baseOf(item, recipe, use, use.package && used.get(use.package), tools);
    if (digest !== undefined) bases.set(use.text, digest);
  }
  const archived: ArchivedImage[] = [];
  for (const { reference, package: named, error } of recipe.archived) {
    const built = named && used.get(named);
    const problem = await checkReference(reference, built, [platform], tools, named);
    if (problem !== undefined) {
      // `lkt pin` edits Dockerfiles and image configs, but not this file.
      const fix = built === undefined ? problem.fix : `change the digest to ${built.index.digest}`;
      throw error(problem.code, problem.message, fix);
    }
    const image = await loadImage(tools.store, reference.digest, platform).catch(
      (cause: unknown) => {
        if (!(cause instanceof LktError) || cause.code !== 'NOT_FOUND') throw cause;
        throw error(cause.code, cause.message);
      },
    );
    archived.push({ reference, image });
  }
  return { bases, archived };
}

async function baseOf(
  item: Package,
  recipe: Recipe,
  use: ImageUse,
  built: BuiltPackage | undefined,
  tools: BuildTools,
): Promise<Digest | undefined> {
  if (built !== undefined && use.calculated)
    return indexFor(recipe.uses, use.text, built, tools.store);
  const platforms = [parsePlatform(use.platform)];
  const problem = await checkReference(use.parsed, built, platforms, tools, use.package);
  if (problem === undefined) return use.parsed.digest;
  const { code, message, ...options } = problem;
  const { position, length, similarStage } = use;
  let { fix } = problem;
  if (item.collection !== undefined && (code === 'PIN_MISSING' || code === 'PIN_STALE'))
    fix = item.collection.pinFix((path) => tools.workspace.displayPath(path));
  else if (code === 'PIN_MISSING' && built === undefined)
    fix = tools.workspace.missingPackage(use.parsed)?.fix ?? unpinnedFix(use.parsed, similarStage);
  throw sourceError(code, recipe.dockerfile.file, position, message, { ...options, length, fix });
}

function unpinnedFix({ domain, path, tag }: Reference, similarStage?: string): string {
  if (similarStage !== undefined) return `did you mean the stage ${similarStage}?`;
  if (domain !== undefined) return 'run: lkt pin';
  const name = formatReference({ domain, path, ...(tag !== undefined && { tag }) });
  return `write the registry, such as ${name}, and run: lkt pin`;
}

async function indexFor(
  uses: readonly ImageUse[],
  text: string,
  { item, images, others }: BuiltPackage,
  store: Store,
): Promise<Digest | undefined> {
  const known = sortByArch(item, [...images, ...others]);
  const wanted = uses.filter((use) => use.text === text).map((use) => parsePlatform(use.platform));
  const found = known.filter((image) => wanted.some((platform) => hasPlatform(image, platform)));
  const isWhole = wanted.every((platform) => found.some((image) => hasPlatform(image, platform)));
  return isWhole ? (await writeIndex(store, found)).digest : undefined;
}
