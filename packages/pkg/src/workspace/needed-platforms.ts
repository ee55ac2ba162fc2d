import { type LktError, sourceError } from '@lkt/core';
import { formatPlatform, parsePlatform, type Platform, type Reference } from '@lkt/oci';
import { buildOrder } from './graph.ts';
import { platformsOf } from './platforms.ts';
import type { BuildTools } from '../build/build-options.ts';
import type { ImageUse, Recipe } from '../build/recipe.ts';
import type { Package, Workspace } from './workspace.ts';

/** The packages and platforms to build for some targets. */
export interface Needed {
  /** The targets and their dependencies, each after its own dependencies. */
  readonly order: readonly Package[];
  /** The platforms to build each package for, in the order of its `arches`. */
  readonly platforms: ReadonlyMap<Package, readonly Platform[]>;
  /** Names of the command line's arguments that Dockerfiles use. */
  readonly givenArgs: ReadonlySet<string>;
  /** Packages of collections whose images are in the store already. */
  readonly taken: Set<Package>;
}

/**
 * Collects the packages that Dockerfiles use, each with the platforms that it is used for. Those
 * may differ from the platform of the target because of `FROM --platform`.
 * @throws UNSUPPORTED if a package does not support a platform that it is used for
 * @throws CONFIG_INVALID for a dependency cycle
 */
export async function neededPlatforms(
  targets: readonly Package[],
  { workspace, recipes, platforms: wanted, collectionImages }: BuildTools,
): Promise<Needed> {
  const needs = new Map<Package, Set<Package>>();
  const platforms = new Map<Package, Map<string, Platform>>();
  const givenArgs = new Set<string>();
  const taken = new Set<Package>();
  const todo = targets.flatMap((item) =>
    platformsOf(item, wanted).map((platform) => ({ item, platform })),
  );
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { item, platform } = next;
    const seen = platforms.get(item) ?? new Map<string, Platform>();
    platforms.set(item, seen);
    if (seen.has(formatPlatform(platform))) continue;
    seen.set(formatPlatform(platform), platform);
    const recipe = await recipes(item, [platform]);
    const uses = needs.get(item) ?? new Set<Package>();
    needs.set(item, uses);
    for (const name of recipe?.given ?? []) givenArgs.add(name);
    for (const used of recipe === undefined ? [] : usesOf(workspace, recipe, platform)) {
      if (await collectionImages.has(used.item, used.reference, [used.platform])) {
        taken.add(used.item);
        continue;
      }
      uses.add(used.item);
      todo.push(used);
    }
  }
  const order = await buildOrder(
    targets,
    async (item) => [...(needs.get(item) ?? [])],
    ({ name }) => name,
  );
  const sorted = order.map((item) => {
    const all = [...(platforms.get(item)?.values() ?? [])];
    return [item, platformsOf(item, all)] as const;
  });
  // A reference without a digest needs a build, whatever the others pin.
  for (const item of platforms.keys()) taken.delete(item);
  return { order, platforms: new Map(sorted), givenArgs, taken };
}

/** Returns the packages that a recipe uses, each with its platform. */
function usesOf(
  workspace: Workspace,
  recipe: Recipe,
  platform: Platform,
): readonly {
  readonly item: Package;
  readonly platform: Platform;
  readonly reference: Reference;
}[] {
  const images = recipe.uses.flatMap((use) => {
    if (use.package === undefined) return [];
    const used = parsePlatform(use.platform);
    if (!use.package.arches.includes(used.architecture))
      throw unsupportedError(workspace, recipe, use, use.package);
    return [{ item: use.package, platform: used, reference: use.parsed }];
  });
  const archived = recipe.archived.flatMap((use) => {
    if (use.package === undefined) return [];
    if (!use.package.arches.includes(platform.architecture))
      throw use.error('UNSUPPORTED', unsupportedMessage(use.package, formatPlatform(platform)));
    return [{ item: use.package, platform, reference: use.reference }];
  });
  return [...images, ...archived];
}

function unsupportedMessage({ name, arches }: Package, platform: string): string {
  return `${name} supports ${arches.join(', ')}, but is used for ${platform}`;
}

function unsupportedError(
  workspace: Workspace,
  { dockerfile }: Recipe,
  use: ImageUse,
  item: Package,
): LktError {
  const { position, length, platform } = use;
  const message = unsupportedMessage(item, platform);
  return sourceError('UNSUPPORTED', dockerfile.file, position, message, {
    length,
    fix: `add the architecture to "arches" in ${workspace.displayPath(item.dir)}, or use another platform: --platform=linux/${item.arches[0] ?? 'amd64'}`,
  });
}
