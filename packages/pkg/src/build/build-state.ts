import { LktError } from '@lkt/core';
import { WholeDirectories } from '@lkt/git/plain';
import { MAX_CHANGED_BYTES } from '../action-cache/checkout-state.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import { allPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import type { BuildOptions, BuildTools } from './build-options.ts';
import { type Recipes, recipesOf } from './recipe.ts';

/**
 * Reads the sources of packages and of all that they use.
 * @param named the packages that receive the command line's arguments
 * @throws as `readSources`
 */
export async function readState(
  workspace: Workspace,
  named: ReadonlySet<Package>,
  options: BuildOptions,
): Promise<Pick<BuildTools, 'sources' | 'recipes' | 'namesOnly'>> {
  const { signal } = options;
  const namesOnly = recipesOf(workspace, named, { hash: () => ANY_HASH }, options);
  await parseUsed(workspace, named, namesOnly);
  const sources = await readSources(workspace, workspace.catalog.known, {
    signal,
    whole: new WholeDirectories(MAX_CHANGED_BYTES),
  });
  return { sources, recipes: recipesOf(workspace, named, sources, options), namesOnly };
}

/** Stands for the hash of any package. */
export const ANY_HASH: SourceHash = {
  hash: '0'.repeat(40),
  committed: '0'.repeat(40),
  dirty: false,
};

/** Makes the workspace parse the build.yml of each package that these use, directly or not. */
async function parseUsed(
  workspace: Workspace,
  items: Iterable<Package>,
  recipes: Recipes,
): Promise<void> {
  const used = new Set(items);
  try {
    for (const item of used) {
      const recipe = await recipes(item, allPlatforms(item));
      for (const use of [...(recipe?.uses ?? []), ...(recipe?.archived ?? [])])
        if (use.package !== undefined) used.add(use.package);
    }
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    // The build of this package reports it, unless the error is about the hash.
    workspace.catalog.parseAll();
  }
}
