import { type Digest, LktError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { Recipe } from '../build/recipe.ts';
import type { Recipes } from '../build/recipes.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/**
 * Returns the digests in pins of a package's current sources: from the Dockerfiles of the workspace
 * and from `others`. If there are any, an image of these sources from a registry must have one of
 * them.
 */
export async function knownPins(
  workspace: Workspace,
  item: Package,
  { committed }: SourceHash,
  recipes: Recipes,
  others: readonly Reference[] = [],
): Promise<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  const add = ({ tag, digest }: Reference): void => {
    if (digest !== undefined && tag !== undefined && tag === committed) found.add(digest);
  };
  for (const reference of others) if (workspace.find(reference) === item) add(reference);
  for (const other of workspace.packages.values()) {
    const recipe = await readRecipeIfValid(recipes, other);
    for (const use of recipe?.uses ?? []) if (use.package === item) add(use.parsed);
  }
  return found;
}

/** Returns undefined for an invalid Dockerfile: it has no pins. */
async function readRecipeIfValid(recipes: Recipes, item: Package): Promise<Recipe | undefined> {
  const platforms = item.arches.map((architecture) => ({ os: 'linux', architecture }));
  try {
    return await recipes.get(item, platforms);
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}
