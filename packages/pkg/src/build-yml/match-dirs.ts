import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, matchesGlob } from 'node:path';

/**
 * Returns the directories that an absolute pattern matches, sorted. Skips hidden ones, as LinuxKit
 * does. `*` does not match a slash.
 */
export function matchDirs(pattern: string): readonly string[] {
  if (!/[*?[]/.test(pattern)) return isDirectory(pattern) ? [pattern] : [];
  return matchDirs(dirname(pattern)).flatMap((parent) =>
    readdirSync(parent)
      .toSorted((a, b) => (a < b ? -1 : 1))
      .filter((name) => !name.startsWith('.') && matchesGlob(name, basename(pattern)))
      .map((name) => join(parent, name))
      .filter(isDirectory),
  );
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
