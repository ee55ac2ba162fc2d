import { type Digest, LktError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { Recipe } from '../build/recipe.ts';
import type { Recipes } from '../build/recipes.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/**
 * The digests that a package is pinned with as its sources are now: by the Dockerfiles of the workspace and by
 * references from elsewhere. What somebody else says to have built from these sources has to be one of them, if there are
 * any.
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
    const recipe = await readable(recipes, other);
    for (const use of recipe?.uses ?? []) if (use.package === item) add(use.parsed);
  }
  return found;
}

/** A Dockerfile with a mistake pins nothing. */
async function readable(recipes: Recipes, item: Package): Promise<Recipe | undefined> {
  const platforms = item.arches.map((architecture) => ({ os: 'linux', architecture }));
  try {
    return await recipes.get(item, platforms);
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}
