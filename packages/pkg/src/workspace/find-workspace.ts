import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BUILD_YML, packageDirs } from './package-dirs.ts';

/** The file that describes a workspace, at its root. */
export const WORKSPACE_FILE = 'lkt.yml';

/**
 * Returns the root of the workspace that contains `start`: the nearest directory with an lkt.yml,
 * else the top of the git work tree, else the nearest directory with packages.
 */
export function workspaceRoot(start: string, gitTop: string | undefined): string {
  const own = nearestWorkspace(start, (dir) => dir === gitTop);
  return own ?? gitTop ?? findRoot(start);
}

/**
 * Returns the nearest directory with an lkt.yml, from `start` up to the top of the git work tree;
 * outside git up to the root directory.
 */
export function nearestWorkspace(
  start: string,
  isTop: (dir: string) => boolean,
): string | undefined {
  for (let dir = start; ; dir = dirname(dir)) {
    if (existsSync(join(dir, WORKSPACE_FILE))) return dir;
    if (isTop(dir) || dirname(dir) === dir) return undefined;
  }
}

/** Returns the nearest directory with packages, from `start` up to the root; else `start`. */
function findRoot(start: string): string {
  for (let dir = start; ; dir = dirname(dir)) {
    if (packageDirs(dir, BUILD_YML).length > 0) return dir;
    if (dirname(dir) === dir) return start;
  }
}
