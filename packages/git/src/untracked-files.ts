import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { IndexEntry } from './index-file.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import { parentOf } from './paths.ts';
import type { Directory } from './tree-id.ts';

/**
 * Yields the files in a directory that git neither tracks nor ignores, in no particular order:
 * paths from the top, one char per byte. Git tracks no directories, pipes, sockets and devices.
 * @param top of the work tree
 * @param path of the directory, which git does not ignore; '' for the top
 * @param known what the index has in it
 * @throws Error if only git can tell
 */
export function* untrackedFiles(
  top: string,
  path: string,
  known: Directory<IndexEntry> | undefined,
  rules: IgnoreRules,
): Generator<string> {
  const dir = join(top, Buffer.from(path, 'latin1').toString());
  for (const entry of readdirSync(dir, { withFileTypes: true, encoding: 'latin1' })) {
    const { name } = entry;
    if (name === '.git') {
      if (path === '') continue;
      throw new Error(`${dir} is a repository of its own`);
    }
    const node = known?.get(name);
    const inside = path === '' ? name : `${path}/${name}`;
    if (entry.isDirectory()) {
      if (rules.ignores(inside, true)) continue;
      yield* untrackedFiles(top, inside, node instanceof Map ? node : undefined, rules);
    } else if ((node === undefined || node instanceof Map) && isFile(entry)) {
      if (!rules.ignores(inside, false)) yield inside;
    }
  }
}

function isFile(entry: { isFile: () => boolean; isSymbolicLink: () => boolean }): boolean {
  return entry.isFile() || entry.isSymbolicLink();
}

/**
 * Reports whether git ignores a directory, or one above it.
 * @throws Error if only git can tell
 */
export function isIgnoredDirectory(path: string, rules: IgnoreRules): boolean {
  if (path === '') return false;
  return isIgnoredDirectory(parentOf(path), rules) || rules.ignores(path, true);
}
