import { accessSync, constants } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

/** Search path for programs of the host, independent of the caller's PATH. */
const HOST_PATH =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/run/wrappers/bin';

/**
 * Returns the environment of the engine's processes: nothing of the caller's but the directory of
 * Node's compile cache, which halves their start time. It must be as safe as the code itself, so it
 * is not in the store.
 */
export function hostEnvironment(): Record<string, string> {
  // Node uses a directory in the given one, by its version and the user.
  const own = getCompileCacheDir();
  return { PATH: HOST_PATH, ...(own === undefined ? {} : { NODE_COMPILE_CACHE: dirname(own) }) };
}

/** Returns the path of a program of the host. */
export function findOnPath(program: string): string | undefined {
  return HOST_PATH.split(':')
    .map((directory) => `${directory}/${program}`)
    .find(isExecutable);
}

/** Reports whether this process may execute a file. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
