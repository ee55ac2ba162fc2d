import type { BuildOptions } from '../build/build-options.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import { readSources } from '../sources/sources.ts';
import { allPlatforms, platformsOf, supportsPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A package with its Dockerfile. */
export interface OwnRecipe {
  readonly item: Package;
  readonly recipe: Recipe;
}

/**
 * Returns the Dockerfiles of own packages, and of the own packages that these use.
 * @throws DOCKERFILE_INVALID, CONFIG_INVALID, NOT_FOUND
 */
export async function ownRecipes(
  workspace: Workspace,
  targets: readonly Package[],
  { platforms, signal }: Pick<BuildOptions, 'platforms' | 'signal'> = {},
): Promise<readonly OwnRecipe[]> {
  const { hash } = await readSources(workspace, workspace.packages.values(), { signal });
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
