import { formatPlatform, type Platform } from '@lkt/oci';
import type { Recipe } from './recipe.ts';
import type { Package } from './workspace.ts';

type ReadRecipe = (item: Package, platforms: readonly Platform[]) => Promise<Recipe | undefined>;

/** The recipes of sources at one moment, each read once. */
export class Recipes {
  readonly #read: ReadRecipe;
  readonly #known = new Map<string, Promise<Recipe | undefined>>();

  constructor(read: ReadRecipe) {
    this.#read = read;
  }

  /** The recipe of a package for all of these platforms. */
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
