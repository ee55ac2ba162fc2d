import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { familiarReference } from '@lkt/oci';
import { loadArgPackages, resolveBuildArgs } from '../build-yml/build-args.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import { allPlatforms } from './platforms.ts';
import type { Package, Workspace } from './workspace.ts';

/** A package and its dependencies. */
export interface PackageNode {
  readonly item: Package;
  readonly hash: SourceHash;
  /** Absolute directories without symlinks that `hash` covers: its own, then the extra sources. */
  readonly directories: readonly string[];
  /** The packages of the workspace that it depends on, each once. */
  readonly uses: readonly PackageUse[];
  /** References of other images, sorted. */
  readonly foreign: readonly string[];
}

/** A dependency on another package. */
interface PackageUse {
  readonly package: Package;
  /** Absolute path of the file with the reference. */
  readonly file: string;
  /**
   * The other package's source hash, if the reference contains it as a tag or calculated argument.
   * Then this package changes with it, even if the other's image stays equal.
   */
  readonly hash?: string | undefined;
}

/**
 * Returns the dependencies of packages on all their architectures: `FROM`, `COPY --from` and
 * mounts in their Dockerfiles, calculated arguments, and `depends`. Builds nothing and checks no
 * pin.
 * @returns the packages, and the hashes of all that were read
 * @param items default: all packages of the workspace
 * @throws LktError at the position in build.yml or the Dockerfile
 * @example
 * ```ts
 * const { nodes } = await packageGraph(workspace);
 * for (const { item, uses } of nodes)
 *   console.log(item.name, uses.map((use) => use.package.name));
 * ```
 */
export async function packageGraph(
  workspace: Workspace,
  items: Iterable<Package> = workspace.packages.values(),
  signal?: AbortSignal,
): Promise<{
  readonly nodes: readonly PackageNode[];
  readonly hashes: ReadonlyMap<Package, SourceHash>;
}> {
  const all = [...items];
  await loadArgPackages(workspace, all);
  const sources = await readSources(workspace, workspace.known, { signal, isTracked: true });
  const nodes = await Promise.all(
    all.map(async (item) => {
      const recipe = await readRecipe(workspace, item, allPlatforms(item), sources.hash);
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
  return { nodes, hashes: sources.hashes };
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
  // The value of such an argument contains the hash, whether or not the Dockerfile uses it.
  const args = recipe === undefined ? [] : item.buildArgs;
  for (const arg of await resolveBuildArgs(workspace, item, args))
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
