import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Search path for programs of the host, independent of the caller's PATH. */
const HOST_PATH =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/run/wrappers/bin';

/**
 * Returns the environment of the engine's processes: nothing of the caller's, and the directory of
 * Node's compile cache, which halves their start time.
 */
export function hostEnvironment(store: string): Record<string, string> {
  // Loads only code that the same user compiled: root may build into another user's store.
  const isOwn = statSync(store).uid === process.geteuid?.();
  return { PATH: HOST_PATH, ...(isOwn ? { NODE_COMPILE_CACHE: join(store, 'compiled') } : {}) };
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
