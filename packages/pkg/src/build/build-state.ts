import { LktError, readSource, type SourceFile } from '@lkt/core';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import { allPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import type { BuildOptions, BuildTools } from './build-options.ts';
import { type ReadFile, type Recipes, recipesOf } from './recipe.ts';

/**
 * Reads the sources of packages and of all that they use. Reads each Dockerfile before the hashes,
 * since it says which packages are hashed, and again if it has changed meanwhile.
 * @param named the packages that receive the command line's arguments
 * @throws as `readSources`
 */
export async function readState(
  workspace: Workspace,
  named: ReadonlySet<Package>,
  options: BuildOptions,
): Promise<Pick<BuildTools, 'sources' | 'recipes' | 'namesOnly'>> {
  const { signal } = options;
  const files = new FilesReadOnce();
  const namesOnly = recipesOf(workspace, named, { hash: () => ANY_HASH }, options, files.read);
  await parseUsed(workspace, named, namesOnly);
  const sources = await readSources(workspace, workspace.catalog.known, {
    signal,
    isTracked: true,
  });
  signal?.throwIfAborted();
  if (!files.areUnchanged()) return readState(workspace, named, options);
  const recipes = recipesOf(workspace, named, sources, options, files.read);
  return { sources, recipes, namesOnly };
}

/** Reads files once, so that all readers find the same text. */
class FilesReadOnce {
  readonly #files = new Map<string, SourceFile>();

  readonly read: ReadFile = (path, shown) => {
    const found = this.#files.get(path) ?? readSource(path, shown);
    this.#files.set(path, found);
    return found;
  };

  /** Reports whether all files that were read have the same text now. */
  areUnchanged(): boolean {
    return this.#files.entries().every(([path, file]) => textAt(path) === file.text);
  }
}

function textAt(path: string): string | undefined {
  try {
    return readSource(path, path).text;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error))
      return undefined;
    throw error;
  }
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
