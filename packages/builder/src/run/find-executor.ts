import { LktError } from '@lkt/core';
import { findOnPath, isExecutable } from '../system/tools.ts';

/** Names of Debian packages. */
const PACKAGES: Readonly<Record<string, string>> = { bwrap: 'bubblewrap' };

/**
 * Returns the program of an executor; undefined for the built-in one.
 * @throws LktError TOOL_MISSING
 */
export function findExecutor(name: string): string | undefined {
  if (name === 'init') return undefined;
  const path = name.includes('/') ? [name].find(isExecutable) : findOnPath(name);
  if (path !== undefined) return path;
  throw new LktError('TOOL_MISSING', `the executor ${name} is not installed`, {
    fix: `install ${PACKAGES[name] ?? name}, or omit --executor`,
  });
}
