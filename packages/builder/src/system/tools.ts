import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where programs of the machine are looked for: not in what the caller's environment says. */
const HOST_PATH =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/run/wrappers/bin';

/**
 * What processes of the engine find in their environment: nothing of the caller's, and where Node keeps compiled code,
 * which halves the time they take to start.
 */
export function hostEnvironment(store: string): Record<string, string> {
  // Code is taken only from who runs it: root may build into the store of somebody else.
  const isOwn = statSync(store).uid === process.geteuid?.();
  return { PATH: HOST_PATH, ...(isOwn ? { NODE_COMPILE_CACHE: join(store, 'compiled') } : {}) };
}

export function findOnPath(program: string): string | undefined {
  return HOST_PATH.split(':')
    .map((directory) => `${directory}/${program}`)
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
