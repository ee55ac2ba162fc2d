import { parseReference, type Reference, type Store } from '@lkt/oci';
import { loadArgPackages } from '../build-yml/build-args.ts';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { findBuilt } from '../build/find-built.ts';
import { checkPin } from '../pins/check-pin.ts';
import { allPlatforms } from './platforms.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import { isInside } from '@lkt/git';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources, type Sources } from '../sources/sources.ts';
import type { Package, Workspace } from './workspace.ts';

/**
 * The state of a reference. `current`: it follows the sources, so it is never stale. `missing`: it
 * has no digest, and a build rejects it.
 */
export type PinState = 'pinned' | 'stale' | 'missing' | 'current';

/** A dependency of a package, with the position of its reference. */
export interface UsedImage {
  /**
   * An image in the Dockerfile, an image in the build context, or the directory of another package.
   */
  readonly as: 'image' | 'archive' | 'sources';
  readonly reference: Reference;
  /** The package of this workspace that the reference names. */
  readonly package: Package | undefined;
  readonly pin: PinState;
  /** `FILE:LINE`. */
  readonly place: string;
}

/** The current state of a package. */
export interface PackageState {
  readonly item: Package;
  readonly hash: SourceHash;
  readonly uses: readonly UsedImage[];
  /** The result of building its sources, if the store has it. */
  readonly built: BuiltPackage | undefined;
}

/**
 * Returns the state of every package of a workspace, with its dependencies on all platforms, and of
 * the packages of collections that these use. Builds and pulls nothing. `built` is for the
 * platforms of the options.
 * @returns the states, and the hashes of all packages that were read
 * @param named further packages, such as those that image configs name
 * @throws DOCKERFILE_INVALID, CONFIG_INVALID; a problem with a pin is part of the result
 */
export async function packageStates(
  workspace: Workspace,
  options: BuildOptions,
  named: readonly Package[] = [],
): Promise<{
  readonly states: readonly PackageState[];
  readonly hashes: ReadonlyMap<Package, SourceHash>;
}> {
  const { signal } = options;
  await loadArgPackages(workspace, named);
  const sources = await readSources(workspace, workspace.known, { signal, isTracked: true });
  const items = await withCollections(workspace, [...workspace.all(), ...named], sources);
  const built = await findBuilt(workspace, items, options);
  const states: PackageState[] = [];
  for (const item of items) {
    const recipe = await readRecipe(workspace, item, allPlatforms(item), sources.hash);
    const uses = recipe === undefined ? [] : await usesOf(recipe, sources.hash, built, options);
    states.push({
      item,
      hash: sources.hash(item),
      uses: [...uses, ...sourceUses(workspace, item)],
      built: built.get(item),
    });
  }
  return { states, hashes: sources.hashes };
}

/** Adds the packages of collections that packages use, directly or not. */
async function withCollections(
  workspace: Workspace,
  items: readonly Package[],
  { hash }: Sources,
): Promise<readonly Package[]> {
  const found = new Set(items);
  if (workspace.collections.size > 0)
    for (const item of found) {
      const recipe = await readRecipe(workspace, item, allPlatforms(item), hash);
      for (const { package: used } of [...(recipe?.uses ?? []), ...(recipe?.archived ?? [])])
        if (used?.collection !== undefined) found.add(used);
    }
  return [...found];
}

async function usesOf(
  { dockerfile, uses, archived }: Recipe,
  hashOf: (item: Package) => SourceHash,
  built: ReadonlyMap<Package, BuiltPackage>,
  { store }: BuildOptions,
): Promise<readonly UsedImage[]> {
  const pinOf = async (reference: Reference, item: Package | undefined): Promise<PinState> => {
    const now = item && { hash: hashOf(item), built: built.get(item) };
    return pinState(reference, now, store);
  };
  const found: UsedImage[] = [];
  for (const { parsed: reference, package: item, calculated, position } of uses) {
    const pin = calculated ? 'current' : await pinOf(reference, item);
    const place = `${dockerfile.file.path}:${position.line}`;
    found.push({ as: 'image', reference, package: item, pin, place });
  }
  for (const { reference, package: item, place } of archived) {
    const pin = await pinOf(reference, item);
    found.push({ as: 'archive', reference, package: item, pin, place });
  }
  return found;
}

/**
 * Returns the state of a reference.
 * @param now the package of the workspace that it names, if any
 */
export async function pinState(
  reference: Reference,
  now: Pick<PackageState, 'hash' | 'built'> | undefined,
  store: Store,
): Promise<PinState> {
  const { tag, digest } = reference;
  if (digest === undefined) return 'missing';
  if (now === undefined) return 'pinned';
  const isRight =
    now.built === undefined
      ? tag === undefined || tag === now.hash.committed
      : (await checkPin(reference, now.built, store)) === undefined;
  return isRight ? 'pinned' : 'stale';
}

/** Returns extra sources inside the directory of another package: they change with that package. */
function sourceUses(workspace: Workspace, item: Package): readonly UsedImage[] {
  return item.extraSources.flatMap(({ source, at }) =>
    [...workspace.packages.values()]
      .filter((other) => other !== item && isInside(source, other.dir))
      .map((other) => ({
        as: 'sources' as const,
        reference: parseReference(other.name),
        package: other,
        pin: 'current' as const,
        place: `${item.file.path}:${at.position.line}`,
      })),
  );
}
