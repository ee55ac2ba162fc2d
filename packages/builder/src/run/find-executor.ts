import { accessSync, constants } from 'node:fs';
import { isErrno, LktError } from '@lkt/core';
import { findOnPath } from '../system/tools.ts';

/** Debian's packages. */
const PACKAGES: Readonly<Record<string, string>> = { bwrap: 'bubblewrap' };

/**
 * The program that an executor is; undefined for lkt's own.
 * @throws LktError TOOL_MISSING
 */
export function findExecutor(name: string): string | undefined {
  if (name === 'init') return undefined;
  const path = name.includes('/') ? executable(name) : findOnPath(name);
  if (path !== undefined) return path;
  throw new LktError('TOOL_MISSING', `there is no ${name} to run commands with`, {
    fix: `install ${PACKAGES[name] ?? name}, or leave out --executor`,
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
