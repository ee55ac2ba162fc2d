import { LktError, silentReporter } from '@lkt/core';
import { parsePlatform, parseReference, type Reference, type Store } from '@lkt/oci';
import { Build } from '../build/build.ts';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { checkPin } from '../pins/pins.ts';
import { isFor } from './platforms.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import { isInside } from '@lkt/git';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import type { Package, Workspace } from './workspace.ts';

/**
 * How a place that names something says which it is. `current`: whatever the sources give now, so it cannot be old;
 * `missing`: it does not say, and a build refuses it.
 */
export type PinState = 'pinned' | 'stale' | 'missing' | 'current';

/** Something that a package is made from, where it is named. */
export interface UsedImage {
  /** An image of the Dockerfile, one that goes into the build context, or a directory of another package. */
  readonly as: 'image' | 'archive' | 'sources';
  readonly reference: Reference;
  /** The package of this workspace that it is. */
  readonly package: Package | undefined;
  readonly pin: PinState;
  /** `FILE:LINE`. */
  readonly place: string;
}

/** A package as it is now. */
export interface PackageState {
  readonly item: Package;
  readonly hash: SourceHash;
  readonly uses: readonly UsedImage[];
  /** What its sources give, if that has been built here. */
  readonly built: BuiltPackage | undefined;
}

/**
 * All packages of a workspace and what they use, whatever the platform. Nothing is built or pulled to find out what has
 * been built, which is asked for the platforms of the options.
 * @throws LktError DOCKERFILE_INVALID, CONFIG_INVALID; what is wrong with a pin is an answer
 */
export async function packageStates(
  workspace: Workspace,
  options: BuildOptions,
): Promise<readonly PackageState[]> {
  const items = workspace.all();
  const { signal } = options;
  const sources = await readSources(workspace, items, { signal });
  const built = await whatIsBuilt(workspace, items, options);
  const nodes: PackageState[] = [];
  for (const item of items) {
    const platforms = item.arches.map((arch) => parsePlatform(`linux/${arch}`));
    const recipe = await readRecipe(workspace, item, platforms, sources.hash);
    const uses = recipe === undefined ? [] : await usesOf(recipe, sources.hash, built, options);
    nodes.push({
      item,
      hash: sources.hash(item),
      uses: [...uses, ...sourceUses(workspace, item)],
      built: built.get(item),
    });
  }
  return nodes;
}

async function whatIsBuilt(
  workspace: Workspace,
  items: readonly Package[],
  { fetchImage: _none, platforms, ...rest }: BuildOptions,
): Promise<ReadonlyMap<Package, BuiltPackage>> {
  const targets = items.filter((item) => isFor(item, platforms));
  const build = await Build.start(workspace, targets, {
    ...rest,
    platforms,
    onlyKnown: true,
    reporter: silentReporter,
  });
  const built = new Map<Package, BuiltPackage>();
  await Promise.all(
    build.order.map(async (item) => {
      try {
        built.set(item, await build.built(item));
      } catch (error) {
        rest.signal?.throwIfAborted();
        // Such as a pin that is stale: its sources give nothing as they are.
        if (!(error instanceof LktError)) throw error;
      }
    }),
  );
  return built;
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
  for (const { reference, package: item, place } of archived)
    found.push({
      as: 'archive',
      reference,
      package: item,
      pin: await pinOf(reference, item),
      place,
    });
  return found;
}

/**
 * How a reference names what it names.
 * @param now the package of the workspace that it is, if it is one
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

/** Extra sources that are in the directory of another package: what changes that one changes this one. */
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
