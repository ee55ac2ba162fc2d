import type { RawPath } from './entry.ts';

/** PATH_MAX of Linux, in bytes. */
export const MAX_PATH = 4096;

/**
 * Returns a path without `.`, empty parts and outer slashes, which makes an absolute path relative
 * to the root. Returns undefined if it has a part `..`, a NUL, or is too long.
 */
export function normalizePath(name: string): RawPath | undefined {
  if (name.length > MAX_PATH || name.includes('\0')) return undefined;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts.join('/');
}
