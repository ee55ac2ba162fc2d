import type { BuildOptions } from '../build/build-options.ts';
import { ANY_HASH } from '../build/build-state.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import { allPlatforms, platformsOf, supportsPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A package with its Dockerfile. */
export interface OwnRecipe {
  readonly item: Package;
  readonly recipe: Recipe;
}

type Options = Pick<BuildOptions, 'platforms' | 'signal'>;

/**
 * Returns the Dockerfiles of own packages, and of the own packages that these use.
 * @throws DOCKERFILE_INVALID, CONFIG_INVALID, NOT_FOUND
 */
export async function ownRecipes(
  workspace: Workspace,
  targets: readonly Package[],
  options: Options = {},
): Promise<readonly OwnRecipe[]> {
  // Calculated build arguments may name packages that the workspace does not know yet.
  await recipesWith(workspace, targets, options, () => ANY_HASH);
  const { signal } = options;
  const { hash } = await readSources(workspace, workspace.catalog.known, { signal });
  return recipesWith(workspace, targets, options, hash);
}

async function recipesWith(
  workspace: Workspace,
  targets: readonly Package[],
  { platforms }: Options,
  hash: (item: Package) => SourceHash,
): Promise<readonly OwnRecipe[]> {
  const found: OwnRecipe[] = [];
  const seen = new Set(targets.filter(({ collection }) => collection === undefined));
  for (const item of seen) {
    const wanted = supportsPlatforms(item, platforms)
      ? platformsOf(item, platforms)
      : allPlatforms(item);
    const recipe = await readRecipe(workspace, item, wanted, hash);
    if (recipe === undefined) continue;
    found.push({ item, recipe });
    for (const { package: used } of recipe.uses)
      if (used !== undefined && used.collection === undefined) seen.add(used);
  }
  return found;
}
