import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '@lkt/core';
import { showSize } from '../flags/sizes.ts';
import { cacheMaxSetting } from '../session/environment.ts';
import type { Check } from './check.ts';

const MIN_FREE_BYTES = 2 ** 30;
/** Disk space for the kernel with its sources and objects. */
const GOOD_FREE_BYTES = 5 * 2 ** 30;
const MIN_FREE_FILES = 20_000;

/** The checks of the features that builds need. */
export const buildChecks: readonly Check[] = [
  {
    name: 'namespaces',
    async run() {
      const { checkHost } = await import('@lkt/builder');
      const { isRoot, error } = checkHost();
      if (error !== undefined) throw error;
      return { state: 'ok', text: isRoot ? 'mount namespaces, as root' : 'of users and mounts' };
    },
  },
  {
    name: 'user ids',
    async run() {
      const { checkHost } = await import('@lkt/builder');
      const { isRoot, mapIds } = checkHost();
      if (mapIds === undefined)
        return { state: 'ok', text: isRoot ? 'all, as root' : 'a range of /etc/subuid' };
      return {
        state: 'warn',
        text: 'one; files of other owners than root cannot be built',
        fix: mapIds,
      };
    },
  },
  {
    name: 'store',
    run({ cacheDir, environment }) {
      const dir = nearestDirectory(cacheDir);
      const { bavail, bsize, files, ffree } = statfsSync(dir);
      const free = bavail * bsize;
      const { value: max } = cacheMaxSetting(environment, cacheDir);
      const text = `${cacheDir}, ${showSize(free)} free, at most ${max}`;
      if (!isWritable(dir))
        return {
          state: 'fail',
          text: `${cacheDir} cannot be written`,
          fix: 'name another directory: LKT_CACHE=DIR',
        };
      const fix = 'lkt cache prune, or another directory: LKT_CACHE=DIR';
      if (free < MIN_FREE_BYTES) return { state: 'fail', text, fix };
      if (files > 0 && ffree < MIN_FREE_FILES)
        return { state: 'warn', text: `${text}; only ${ffree} more files`, fix };
      return free < GOOD_FREE_BYTES ? { state: 'warn', text, fix } : { state: 'ok', text };
    },
  },
];

function nearestDirectory(path: string): string {
  try {
    statfsSync(path);
    return path;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES') || path === dirname(path)) throw error;
    return nearestDirectory(dirname(path));
  }
}

function isWritable(dir: string): boolean {
  try {
    accessSync(dir, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
