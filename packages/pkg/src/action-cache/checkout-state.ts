import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { readPlainDirectory, WholeDirectories } from '@lkt/git/plain';
import {
  type Environment,
  findTopWithoutGit,
  isOutside,
  isUnder,
  readWorkTree,
} from '@lkt/git/work-tree';
import { combineTrees } from '../sources/combine-trees.ts';
import { firstDirectory } from '../workspace/collection-places.ts';
import { workspaceRoot } from '../workspace/find-workspace.ts';
import { BUILD_YML, matchingDirs, ownDirs } from '../workspace/package-dirs.ts';

/** The directories whose packages make a workspace. */
export interface WorkspaceDirs {
  /** The directory that the workspace was opened from. */
  readonly start: string;
  /** As `workspaceRoot`. */
  readonly root: string;
  /** `packages` of lkt.yml. */
  readonly patterns?: readonly string[] | undefined;
  /** The roots of collections outside git, with `packages` of their lkt.yml. */
  readonly collections: readonly {
    readonly root: string;
    /** As `collectionPlaces`. */
    readonly places: readonly string[];
    readonly patterns?: readonly string[] | undefined;
  }[];
}

/** The package directories of a work tree, or of a workspace outside git. */
export interface Checkout extends WorkspaceDirs {
  /** The top directory of the git work tree; undefined outside git. */
  readonly top: string | undefined;
  /** The package directories that the workspace finds without being asked for them. */
  readonly packages: readonly string[];
}

/**
 * The states of source directories, by path relative to the top directory; in collections by
 * absolute path.
 */
export type Trees = Readonly<Record<string, Tree>>;

/**
 * The git tree ids of a directory: in HEAD, and after a space as a commit of all changes would have
 * it. Then the paths that git does not track, each after a space: the hash of a changed directory
 * depends on their order. In a collection, only the id of its files;
 * outside git, of all files, empty if that would read too much.
 */
type Tree = string;

/** The sources of a workspace. */
export interface CheckoutState {
  readonly checkout: Checkout;
  readonly trees: Trees;
}

/**
 * Larger changes are not tracked: reading them would take longer than the action that the cache
 * skips.
 */
export const MAX_CHANGED_BYTES: number = 16 * 2 ** 20;

/**
 * Returns the state of a checkout, or undefined if a source directory lies outside the work tree,
 * or if only git itself could tell, as for changed files that it may convert. Outside git, contents
 * are compared and not times.
 * @param workspace as it was opened
 * @param dirs absolute source directories of the packages, without symlinks
 */
export function checkoutState(
  workspace: WorkspaceDirs,
  dirs: readonly string[],
  env: Environment,
): CheckoutState | undefined {
  const { start, root, patterns, collections } = workspace;
  const own = { start, root, patterns, collections };
  const top = findTopWithoutGit(realpathSync(start), env);
  if (top === undefined) return outsideState(own, [...new Set(dirs)]);
  const plain = dirs.filter((dir) => isOfCollection(own, dir));
  const paths = [...new Set(dirs)]
    .filter((dir) => !plain.includes(dir))
    .map((dir) => relative(top, dir));
  if (paths.some((path) => path === '..' || path.startsWith(`..${sep}`))) return undefined;
  return stateOf(own, top, [...paths, ...plain], env);
}

/** Returns the states of these source directories alone; undefined if one has no files. */
export function treesOf(state: CheckoutState, dirs: readonly string[]): Trees | undefined {
  const trees = dirs.map((dir) => treeAt(state, dir));
  return trees.some(([, tree]) => tree === '') ? undefined : Object.fromEntries(trees);
}

/**
 * Returns the source hash that a package with these source directories has when all changes are
 * committed, 40 hex digits.
 */
export function sourceHashOf(state: CheckoutState, dirs: readonly string[]): string {
  return combineTrees(
    dirs.map((dir) => {
      const [own = '', current = own] = treeAt(state, dir)[1].split(' ');
      return current;
    }),
  );
}

function treeAt(
  { checkout: { top }, trees }: CheckoutState,
  dir: string,
): readonly [key: string, tree: Tree] {
  const key = trees[dir] === undefined && top !== undefined ? relative(top, dir) : dir;
  return [key, trees[key] ?? ''];
}

/**
 * Returns the current states of source directories. Takes milliseconds and starts no process.
 * @param keys of `Trees`
 * @returns undefined if the work tree has other package directories now, or if only git could tell
 */
export function currentTrees(
  checkout: Checkout,
  keys: readonly string[],
  env: Environment,
): Trees | undefined {
  const { start, root, top, packages, collections } = checkout;
  const from = realpathSync(start);
  if (findTopWithoutGit(from, env) !== top || workspaceRoot(from, top) !== root) return undefined;
  // npm may have linked another version, or a nearer one.
  if (collections.some(({ places, root: dir }) => isElsewhere(places, dir))) return undefined;
  const now = top === undefined ? outsideState(checkout, keys) : stateOf(checkout, top, keys, env);
  const isSame = now?.checkout.packages.join('\0') === packages.join('\0');
  return isSame ? now?.trees : undefined;
}

function isElsewhere(places: readonly string[], dir: string): boolean {
  return places.length > 0 && firstDirectory(places) !== dir;
}

function stateOf(
  workspace: WorkspaceDirs,
  top: string,
  keys: readonly string[],
  env: Environment,
): CheckoutState | undefined {
  const sources = sourcesOf(
    workspace,
    top,
    keys.filter((key) => !isAbsolute(key)),
    env,
  );
  if (sources === undefined) return undefined;
  const plain = keys.filter((key) => isAbsolute(key));
  return {
    checkout: { ...workspace, top, packages: sources.packages },
    trees: { ...sources.trees, ...plainTreesOf(workspace, plain) },
  };
}

/** Returns undefined if one of the directories may be in a repository. */
function outsideState(
  workspace: WorkspaceDirs,
  dirs: readonly string[],
): CheckoutState | undefined {
  const { start } = workspace;
  if (![realpathSync(start), ...dirs].every(isOutside)) return undefined;
  const whole = new WholeDirectories(MAX_CHANGED_BYTES);
  const own = dirs.filter((dir) => !isOfCollection(workspace, dir));
  // A link may lead to the same files elsewhere, with other files next to them.
  const treeOf = (dir: string): Tree => (isReal(dir) ? whole.tree(dir) : undefined) ?? '';
  return {
    checkout: { ...workspace, top: undefined, packages: packagesOf(workspace, []) },
    trees: {
      ...Object.fromEntries(own.map((dir) => [dir, treeOf(dir)])),
      ...plainTreesOf(workspace, dirs),
    },
  };
}

function isReal(dir: string): boolean {
  return existsSync(dir) && realpathSync.native(dir) === dir;
}

function packagesOf(
  { root, patterns, collections }: WorkspaceDirs,
  tracked: readonly string[],
): readonly string[] {
  return [
    ...ownDirs(root, BUILD_YML, patterns, tracked),
    ...collections.flatMap((one) => matchingDirs(one.root, BUILD_YML, one.patterns)),
  ];
}

function plainTreesOf({ collections }: WorkspaceDirs, dirs: readonly string[]): Trees {
  const trees: Record<string, Tree> = {};
  for (const { root } of collections) {
    const inside = dirs.filter((dir) => isBelow(dir, root));
    const repository = readPlainDirectory(root, inside);
    for (const dir of inside) trees[dir] = repository.headTree(repository.pathOf(dir)) ?? '';
  }
  return trees;
}

function isOfCollection({ collections }: WorkspaceDirs, dir: string): boolean {
  return collections.some(({ root }) => isBelow(dir, root));
}

function isBelow(dir: string, root: string): boolean {
  return dir === root || dir.startsWith(`${root}${sep}`);
}

function sourcesOf(
  workspace: WorkspaceDirs,
  top: string,
  paths: readonly string[],
  env: Environment,
): { readonly packages: readonly string[]; readonly trees: Trees } | undefined {
  // The index holds names as bytes: one character per byte.
  const names = paths.map((path) => Buffer.from(path).toString('latin1'));
  const found = readWorkTree(top, names, env, { name: BUILD_YML, maxBytes: MAX_CHANGED_BYTES });
  if (found === undefined) return undefined;
  const treeOf = (name: string): Tree => {
    const untracked = found.untracked.filter((path) => isUnder(path, name));
    const ids = [found.trees.get(name) ?? '', found.currentTrees.get(name) ?? ''];
    return [...ids, ...untracked].join(' ');
  };
  const trees = paths.map((path, at) => [path, treeOf(names[at] ?? '')] as const);
  const named = found.named.map((path) => join(top, path));
  return { packages: packagesOf(workspace, named), trees: Object.fromEntries(trees) };
}
