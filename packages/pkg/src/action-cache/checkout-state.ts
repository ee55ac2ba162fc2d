import { realpathSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { type Environment, findTopWithoutGit, isUnder, readWorkTree } from '@lkt/git/work-tree';
import { readPlainDirectory } from '@lkt/git/plain';
import { combineTrees } from '../sources/combine-trees.ts';
import { BUILD_YML, matchingDirs, ownDirs } from '../workspace/package-dirs.ts';

/** The directories whose packages make a workspace. */
export interface WorkspaceDirs {
  /** The directory that the workspace was opened from. */
  readonly start: string;
  /** The directory of lkt.yml, else the top of the work tree. */
  readonly root: string;
  /** `packages` of lkt.yml. */
  readonly patterns?: readonly string[] | undefined;
  /** The roots of collections outside git, with `packages` of their lkt.yml. */
  readonly collections: readonly {
    readonly root: string;
    readonly patterns?: readonly string[] | undefined;
  }[];
}

/** The sources of a workspace. */
export interface CheckoutState extends WorkspaceDirs {
  /** The top directory of the git work tree. */
  readonly top: string;
  /** The package directories that the workspace finds without being asked for them. */
  readonly packages: readonly string[];
  /** The git tree ids of the source directories, keyed by path relative to the top directory. */
  readonly trees: Readonly<Record<string, Trees>>;
  /** The same of source directories in collections, keyed by absolute path. */
  readonly plainTrees: Readonly<Record<string, string>>;
}

/**
 * The tree ids of a directory: in HEAD, and after a space as a commit of all changes would have it.
 * Then the paths that git does not track, each after a space: the hash of a changed directory
 * depends on their order.
 */
type Trees = string;

/**
 * Larger changes are not tracked: reading them would take longer than the action that the cache
 * skips.
 */
const MAX_CHANGED_BYTES = 16 * 2 ** 20;

/**
 * Returns the state of a checkout, or undefined if a source directory lies outside the work tree,
 * or if only git itself could tell, as for changed files that it may convert.
 * @param workspace as it was opened
 * @param dirs absolute source directories of the packages, without symlinks
 */
export function checkoutState(
  workspace: WorkspaceDirs,
  dirs: readonly string[],
  env: Environment,
): CheckoutState | undefined {
  const { start, root, patterns, collections } = workspace;
  const real = realpathSync(start);
  const top = findTopWithoutGit(real, env);
  if (top === undefined) return undefined;
  const plain = dirs.filter((dir) => collections.some((one) => isBelow(dir, one.root)));
  const paths = [...new Set(dirs)]
    .filter((dir) => !plain.includes(dir))
    .map((dir) => relative(top, dir));
  if (paths.some((path) => path === '..' || path.startsWith(`..${sep}`))) return undefined;
  const sources = sourcesOf(workspace, top, paths, env);
  if (sources === undefined) return undefined;
  const plainTrees = plainTreesOf(workspace, plain);
  return { start, root, patterns, collections, top, ...sources, plainTrees };
}

/**
 * Returns the source hash that a package with these source directories has when all changes are
 * committed, 40 hex digits.
 */
export function sourceHashOf(
  { top, trees, plainTrees }: CheckoutState,
  dirs: readonly string[],
): string {
  const current = (dir: string): string => trees[relative(top, dir)]?.split(' ')[1] ?? '';
  return combineTrees(dirs.map((dir) => plainTrees[dir] ?? current(dir)));
}

/** Reports whether the checkout still has this state. Takes milliseconds and starts no process. */
export function isCheckoutState(state: CheckoutState, env: Environment): boolean {
  const { start, top, packages, trees, plainTrees } = state;
  if (findTopWithoutGit(realpathSync(start), env) !== top) return false;
  const paths = Object.keys(trees);
  const now = sourcesOf(state, top, paths, env);
  if (now === undefined || now.packages.join('\0') !== packages.join('\0')) return false;
  if (!paths.every((path) => now.trees[path] === trees[path])) return false;
  const plain = Object.keys(plainTrees);
  const current = plainTreesOf(state, plain);
  return plain.every((dir) => current[dir] === plainTrees[dir]);
}

function plainTreesOf(
  { collections }: WorkspaceDirs,
  dirs: readonly string[],
): Readonly<Record<string, string>> {
  const trees: Record<string, string> = {};
  for (const { root } of collections) {
    const inside = dirs.filter((dir) => isBelow(dir, root));
    const repository = readPlainDirectory(root, inside);
    for (const dir of inside) trees[dir] = repository.headTree(repository.pathOf(dir)) ?? '';
  }
  return trees;
}

function isBelow(dir: string, root: string): boolean {
  return dir === root || dir.startsWith(`${root}${sep}`);
}

function sourcesOf(
  { root, patterns, collections }: WorkspaceDirs,
  top: string,
  paths: readonly string[],
  env: Environment,
): Pick<CheckoutState, 'packages' | 'trees'> | undefined {
  // The index holds names as bytes: one character per byte.
  const names = paths.map((path) => Buffer.from(path).toString('latin1'));
  const found = readWorkTree(top, names, env, { name: BUILD_YML, maxBytes: MAX_CHANGED_BYTES });
  if (found === undefined) return undefined;
  const treesOf = (name: string): Trees => {
    const untracked = found.untracked.filter((path) => isUnder(path, name));
    const ids = [found.trees.get(name) ?? '', found.currentTrees.get(name) ?? ''];
    return [...ids, ...untracked].join(' ');
  };
  const trees = paths.map((path, at) => [path, treesOf(names[at] ?? '')] as const);
  const named = found.named.map((path) => join(top, path));
  return {
    packages: [
      ...ownDirs(root, BUILD_YML, patterns, named),
      ...collections.flatMap((one) => matchingDirs(one.root, BUILD_YML, one.patterns)),
    ],
    trees: Object.fromEntries(trees),
  };
}
