import { accessSync, constants } from 'node:fs';

/** Where programs of the machine are looked for: not in what the caller's environment says. */
export const HOST_PATH =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/run/wrappers/bin';

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
