import { realpathSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { type Environment, findTopWithoutGit, readCleanCheckout } from '@lkt/git/checkout';
import { combineTrees } from '../sources/combine-trees.ts';
import { BUILD_YML, packageDirs } from '../workspace/package-dirs.ts';

/**
 * The sources of a workspace in which nothing differs from the commit. Whoever finds them again, with `isSourceState`,
 * would open the same workspace, and find the same package in each directory.
 */
export interface SourceState {
  /** Where the workspace was opened. */
  readonly start: string;
  /** Of the git work tree. */
  readonly top: string;
  /** The packages that are found by themselves. */
  readonly packages: readonly string[];
  /** Id of the git tree of each directory that a package has sources in, by its path from the top. */
  readonly trees: Readonly<Record<string, string>>;
}

/**
 * The state of a workspace.
 * @param dirs all directories that its packages have sources in, without symlinks
 * @returns undefined where something differs from the commit, or where only git can tell
 */
export function sourceState(
  start: string,
  dirs: readonly string[],
  env: Environment,
): SourceState | undefined {
  const real = realpathSync(start);
  const top = findTopWithoutGit(real, env);
  if (top === undefined) return undefined;
  const paths = [...new Set(dirs.map((dir) => relative(top, dir)))];
  if (paths.some((path) => path === '..' || path.startsWith(`..${sep}`))) return undefined;
  const trees = treesOf(top, paths, env);
  if (trees === undefined) return undefined;
  return { start, top, packages: packageDirs(top, BUILD_YML), trees };
}

/** The source hash of a package with sources in these directories. */
export function hashIn({ top, trees }: SourceState, dirs: readonly string[]): string {
  return combineTrees(dirs.map((dir) => trees[relative(top, dir)] ?? ''));
}

/** Whether the sources are in that state now. Takes some milliseconds, and starts no program. */
export function isSourceState(
  { start, top, packages, trees }: SourceState,
  env: Environment,
): boolean {
  if (findTopWithoutGit(realpathSync(start), env) !== top) return false;
  const found = packageDirs(top, BUILD_YML);
  if (found.join('\0') !== packages.join('\0')) return false;
  const paths = Object.keys(trees);
  const now = treesOf(top, paths, env);
  return now !== undefined && paths.every((path) => now[path] === trees[path]);
}

function treesOf(
  top: string,
  paths: readonly string[],
  env: Environment,
): Readonly<Record<string, string>> | undefined {
  // The index has names as bytes, one char each.
  const names = paths.map((path) => Buffer.from(path).toString('latin1'));
  const clean = readCleanCheckout(top, names, env);
  if (clean === undefined) return undefined;
  const trees = new Map(paths.map((path, at) => [path, clean.trees.get(names[at] ?? '') ?? '']));
  return Object.fromEntries(trees);
}
