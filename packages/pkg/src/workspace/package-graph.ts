import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { familiarReference, type Platform } from '@lkt/oci';
import { resolveBuildArgs } from '../build-yml/build-args.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import type { Package, Workspace } from './workspace.ts';

/** A package and what it is made from. */
export interface PackageNode {
  readonly item: Package;
  readonly hash: SourceHash;
  /** Absolute directories without symlinks: its own, then the extra sources. All that `hash` covers. */
  readonly directories: readonly string[];
  /** The packages of the workspace that it uses, each once. */
  readonly uses: readonly PackageUse[];
  /** Images from elsewhere, as they are named; sorted. */
  readonly foreign: readonly string[];
}

/** That a package uses another. */
export interface PackageUse {
  readonly package: Package;
  /** The file that says so; absolute. */
  readonly file: string;
  /**
   * The hash of the other's sources where what says so holds it, by a tag or a calculated argument: then the package
   * changes with it, even where the other's image stays the same.
   */
  readonly hash?: string | undefined;
}

/**
 * What packages use, for all the architectures that they are for: by `FROM`, `COPY --from` and mounts of their
 * Dockerfiles, by calculated arguments, and by `depends`. Nothing is built, and no pin is checked.
 * @param items by default all of the workspace
 * @throws LktError at the place in build.yml or the Dockerfile
 */
export async function packageGraph(
  workspace: Workspace,
  items: Iterable<Package> = workspace.packages.values(),
  signal?: AbortSignal,
): Promise<readonly PackageNode[]> {
  const all = [...items];
  const sources = await readSources(workspace, [...workspace.packages.values()], { signal });
  return Promise.all(
    all.map(async (item) => {
      const platforms = item.arches.map((architecture): Platform => ({
        os: 'linux',
        architecture,
      }));
      const recipe = await readRecipe(workspace, item, platforms, sources.hash);
      const extra = item.extraSources.map(({ source }) => realpath(source));
      return {
        item,
        hash: sources.hash(item),
        directories: [item.dir, ...(await Promise.all(extra))],
        uses: await usesOf(workspace, item, recipe, sources.hash),
        foreign: foreignOf(recipe),
      };
    }),
  );
}

async function usesOf(
  workspace: Workspace,
  item: Package,
  recipe: Recipe | undefined,
  hashOf: (other: Package) => SourceHash,
): Promise<readonly PackageUse[]> {
  const found = new Map<Package, PackageUse>();
  const add = (used: Package | undefined, file: string, byHash: boolean): void => {
    if (used === undefined || used === item) return;
    const known = found.get(used) ?? { package: used, file };
    found.set(used, byHash ? { ...known, hash: hashOf(used).committed } : known);
  };
  const buildYml = join(item.dir, workspace.buildYml);
  for (const use of recipe?.uses ?? [])
    add(use.package, join(item.dir, item.dockerfile), use.parsed.tag !== undefined);
  for (const use of recipe?.archived ?? [])
    add(use.package, buildYml, use.reference.tag !== undefined);
  const own = item.buildArgs.map((arg) => ({ ...arg, dir: item.dir }));
  // An argument that names a package is a text with its hash, whatever the Dockerfile makes of it.
  for (const arg of recipe === undefined ? [] : await resolveBuildArgs(workspace, item, own))
    if ('package' in arg) add(arg.package, buildYml, true);
  return [...found.values()];
}

function foreignOf(recipe: Recipe | undefined): readonly string[] {
  const names = [
    ...(recipe?.uses ?? []).flatMap((use) => (use.package === undefined ? use.parsed : [])),
    ...(recipe?.archived ?? []).flatMap((use) => (use.package === undefined ? use.reference : [])),
  ];
  return [...new Set(names.map(familiarReference))].toSorted();
}
