import { formatPlatform, type Platform } from '@lkt/oci';
import type { BuildOptions } from './build-options.ts';
import { readRecipe, type Recipe } from './recipe.ts';
import type { Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

type ReadRecipe = (item: Package, platforms: readonly Platform[]) => Promise<Recipe | undefined>;

/** The recipes of one state of the sources, each read once. */
export class Recipes {
  readonly #read: ReadRecipe;
  readonly #known = new Map<string, Promise<Recipe | undefined>>();

  constructor(read: ReadRecipe) {
    this.#read = read;
  }

  /** Returns the recipe of a package for these platforms. */
  get(item: Package, platforms: readonly Platform[]): Promise<Recipe | undefined> {
    const key = [item.name, ...platforms.map(formatPlatform)].join(' ');
    let found = this.#known.get(key);
    if (found === undefined) {
      found = this.#read(item, platforms);
      this.#known.set(key, found);
    }
    return found;
  }
}

/**
 * Returns the recipes of a build.
 * @param named the packages that receive the command line's arguments
 */
export function recipesOf(
  workspace: Workspace,
  named: ReadonlySet<Package>,
  { hash }: Sources,
  { buildArgs, engine }: BuildOptions,
): Recipes {
  return new Recipes(async (item, platforms) => {
    const given = named.has(item) ? buildArgs : [];
    return readRecipe(workspace, item, platforms, hash, given, engine.buildPlatform);
  });
}
