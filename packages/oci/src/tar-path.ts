import type { RawPath } from './entry.ts';

/** Linux has no longer one (PATH_MAX). */
export const MAX_PATH = 4096;

/**
 * A path without `.`, empty parts and slashes at its ends, so absolute ones are taken from the root of the archive.
 * Undefined when it has a part `..`, a NUL, or is too long.
 */
export function normalizePath(name: string): RawPath | undefined {
  if (name.length > MAX_PATH || name.includes('\0')) return undefined;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts.join('/');
}
