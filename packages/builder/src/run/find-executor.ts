import { accessSync, constants } from 'node:fs';
import { isErrno, LktError } from '@lkt/core';
import { findOnPath } from '../system/tools.ts';

/** Names of Debian packages. */
const PACKAGES: Readonly<Record<string, string>> = { bwrap: 'bubblewrap' };

/**
 * Returns the program of an executor; undefined for the built-in one.
 * @throws LktError TOOL_MISSING
 */
export function findExecutor(name: string): string | undefined {
  if (name === 'init') return undefined;
  const path = name.includes('/') ? executable(name) : findOnPath(name);
  if (path !== undefined) return path;
  throw new LktError('TOOL_MISSING', `the executor ${name} is not installed`, {
    fix: `install ${PACKAGES[name] ?? name}, or omit --executor`,
  });
}

function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return undefined;
    throw error;
  }
}
