import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BUILD_YML, packageDirs } from './package-dirs.ts';
import { WORKSPACE_FILE } from './workspace-file.ts';

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
export function findRoot(start: string): string {
  for (let dir = start; ; dir = dirname(dir)) {
    if (packageDirs(dir, BUILD_YML).length > 0) return dir;
    if (dirname(dir) === dir) return start;
  }
}
