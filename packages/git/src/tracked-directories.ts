// Loads little code, because every command starts with it.

import { join } from 'node:path';
import type { Environment, Git } from './command.ts';
import { findGitDirectory } from './directory.ts';
import { readIndex } from './index-file.ts';

/**
 * Returns the directories that have a tracked file of this name, sorted, relative to the top; ''
 * for the top itself. Reads the index without starting git; undefined if only git can tell.
 * @param top of the work tree; without symlinks
 */
export function trackedDirectories(
  top: string,
  name: string,
  env: Environment,
): readonly string[] | undefined {
  try {
    const found = findGitDirectory(top, env);
    if (found?.top !== top) return undefined;
    const index = readIndex(join(found.gitDir, 'index'), isNamed(name));
    return index && directoriesOf(index.entries.map(({ path }) => path));
  } catch {
    // The caller then asks git, which reports errors better.
    return undefined;
  }
}

/**
 * As `trackedDirectories`, and asks git where that is necessary.
 * @throws GIT_FAILED
 */
export async function findTrackedDirectories(
  git: Git,
  top: string,
  name: string,
): Promise<readonly string[]> {
  const known = trackedDirectories(top, name, git.env);
  if (known !== undefined) return known;
  const pattern = `:(top,glob)**/${name.replaceAll(/[*?[\\]/g, String.raw`\$&`)}`;
  const env = { GIT_LITERAL_PATHSPECS: '0' };
  const { stdout } = await git.run(top, ['ls-files', '-z', '--', pattern], { env });
  return directoriesOf(stdout.split('\0').filter((path) => path !== ''));
}

/** Returns a function that reports whether a path, one char per byte, has this file name. */
export function isNamed(name: string): (path: string) => boolean {
  const bytes = Buffer.from(name).toString('latin1');
  const end = `/${bytes}`;
  return (path) => path.endsWith(end) || path === bytes;
}

/**
 * Returns the directories of files, in their order.
 * @param paths one char per byte
 */
export function directoriesOf(paths: readonly string[]): readonly string[] {
  const directories = paths.map((path) => path.slice(0, Math.max(0, path.lastIndexOf('/'))));
  return [...new Set(directories)].map((path) => Buffer.from(path, 'latin1').toString());
}
