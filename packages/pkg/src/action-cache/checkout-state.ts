import { realpathSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { type Environment, findTopWithoutGit, readCleanCheckout } from '@lkt/git/checkout';
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

/** The committed sources of a workspace whose work tree equals the commit. */
export interface CheckoutState extends WorkspaceDirs {
  /** The top directory of the git work tree. */
  readonly top: string;
  /** The package directories that the workspace finds without being asked for them. */
  readonly packages: readonly string[];
  /** The git tree ids of the source directories, keyed by path relative to the top directory. */
  readonly trees: Readonly<Record<string, string>>;
  /** The same of source directories in collections, keyed by absolute path. */
  readonly plainTrees: Readonly<Record<string, string>>;
}

/**
 * Returns the state of a checkout, or undefined if a source directory differs from the commit, lies
 * outside the work tree, or only git itself could tell.
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

/** Returns the source hash of a package with these source directories, 40 hex digits. */
export function sourceHashOf(
  { top, trees, plainTrees }: CheckoutState,
  dirs: readonly string[],
): string {
  return combineTrees(dirs.map((dir) => plainTrees[dir] ?? trees[relative(top, dir)] ?? ''));
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
  const clean = readCleanCheckout(top, names, env, BUILD_YML);
  if (clean === undefined) return undefined;
  const trees = new Map(paths.map((path, at) => [path, clean.trees.get(names[at] ?? '') ?? '']));
  const named = clean.named.map((path) => join(top, path));
  return {
    packages: [
      ...ownDirs(root, BUILD_YML, patterns, named),
      ...collections.flatMap((one) => matchingDirs(one.root, BUILD_YML, one.patterns)),
    ],
    trees: Object.fromEntries(trees),
  };
}
