import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Returns the path of a program to start as a process. The build bundles each file that the sources
 * refer to as `new URL('NAME.ts', import.meta.url)`.
 * @param source beside the calling module; in `dist/` the program is `NAME.cjs`
 */
export function programPath(source: URL): string {
  const path = fileURLToPath(source);
  return buildId(source.href) === undefined ? path : path.replace(/\.ts$/, '.cjs');
}

/**
 * Returns the id of the build that a module belongs to, a hash over all its sources; undefined for
 * a module that runs from source, which may have changed since the process started.
 */
export function buildId(importMetaUrl: string): string | undefined {
  const directory = dirname(fileURLToPath(importMetaUrl));
  const id = basename(directory);
  return basename(dirname(directory)) === 'dist' && BUILD_ID.test(id) ? id : undefined;
}

const BUILD_ID = /^[0-9a-f]{16}$/;
