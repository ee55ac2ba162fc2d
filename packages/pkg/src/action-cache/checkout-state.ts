import { realpathSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { type Environment, findTopWithoutGit, readCleanCheckout } from '@lkt/git/checkout';
import { combineTrees } from '../sources/combine-trees.ts';
import { BUILD_YML, packageDirs } from '../workspace/package-dirs.ts';

/** The committed sources of a workspace whose work tree equals the commit. */
export interface CheckoutState {
  /** The directory that the workspace was opened from. */
  readonly start: string;
  /** The top directory of the git work tree. */
  readonly top: string;
  /** The package directories that the workspace finds without being asked for them. */
  readonly packages: readonly string[];
  /** The git tree ids of the source directories, keyed by path relative to the top directory. */
  readonly trees: Readonly<Record<string, string>>;
}

/**
 * Returns the state of a checkout, or undefined if a source directory differs from the commit, lies
 * outside the work tree, or only git itself could tell.
 * @param dirs absolute source directories of the packages, without symlinks
 */
export function checkoutState(
  start: string,
  dirs: readonly string[],
  env: Environment,
): CheckoutState | undefined {
  const real = realpathSync(start);
  const top = findTopWithoutGit(real, env);
  if (top === undefined) return undefined;
  const paths = [...new Set(dirs.map((dir) => relative(top, dir)))];
  if (paths.some((path) => path === '..' || path.startsWith(`..${sep}`))) return undefined;
  const sources = sourcesOf(top, paths, env);
  return sources && { start, top, ...sources };
}

/** Returns the source hash of a package with these source directories, 40 hex digits. */
export function sourceHashOf({ top, trees }: CheckoutState, dirs: readonly string[]): string {
  return combineTrees(dirs.map((dir) => trees[relative(top, dir)] ?? ''));
}

/** Reports whether the checkout still has this state. Takes milliseconds and starts no process. */
export function isCheckoutState(
  { start, top, packages, trees }: CheckoutState,
  env: Environment,
): boolean {
  if (findTopWithoutGit(realpathSync(start), env) !== top) return false;
  const paths = Object.keys(trees);
  const now = sourcesOf(top, paths, env);
  if (now === undefined || now.packages.join('\0') !== packages.join('\0')) return false;
  return paths.every((path) => now.trees[path] === trees[path]);
}

function sourcesOf(
  top: string,
  paths: readonly string[],
  env: Environment,
): Pick<CheckoutState, 'packages' | 'trees'> | undefined {
  // The index holds names as bytes: one character per byte.
  const names = paths.map((path) => Buffer.from(path).toString('latin1'));
  const clean = readCleanCheckout(top, names, env, BUILD_YML);
  if (clean === undefined) return undefined;
  const trees = new Map(paths.map((path, at) => [path, clean.trees.get(names[at] ?? '') ?? '']));
  return {
    packages: packageDirs(top, BUILD_YML, clean.named),
    trees: Object.fromEntries(trees),
  };
}
