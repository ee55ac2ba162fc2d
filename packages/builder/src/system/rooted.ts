import { mkdirSync } from 'node:fs';
import { parentPath, type RawPath } from '@lkt/oci';
import type { Owner } from '../copy/owners.ts';
import { joinRaw, linkAt, pathAt, statAt } from './raw-fs.ts';
import { setOwner } from './set-owner.ts';

/** Maximum number of symbolic links in a path, as in Linux. */
const MAX_LINKS = 40;

/**
 * Resolves a path as if `root` were the root of the file system: without symbolic links, `.` and
 * `..`. Missing parts stay. No part of the result is a link, so it can be used from outside while
 * nothing in the tree runs. Returns undefined for a loop of links, or if a part before the last is
 * a file.
 */
export function resolveIn(root: string, path: RawPath, follow = true): RawPath | undefined {
  let todo = path.split('/').toReversed();
  let at: RawPath = '';
  let links = 0;
  while (todo.length > 0) {
    const part = todo.pop() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at = parentPath(at);
      continue;
    }
    const next = joinRaw(at, part);
    const stats = statAt(root, next);
    const isLast = todo.every((rest) => rest === '' || rest === '.');
    if (stats?.isSymbolicLink() === true && (follow || !isLast)) {
      links += 1;
      if (links > MAX_LINKS) return undefined;
      const target = linkAt(root, next);
      if (target.startsWith('/')) at = '';
      todo = [...todo, ...target.split('/').toReversed()];
      continue;
    }
    if (stats !== undefined && !stats.isDirectory() && !isLast) return undefined;
    at = next;
  }
  return at;
}

/** Makes a directory and missing parents, with mode 755. The path must be resolved. */
export function makeDirectories(root: string, path: RawPath, owner: Owner): void {
  if (path === '' || statAt(root, path) !== undefined) return;
  makeDirectories(root, parentPath(path), owner);
  mkdirSync(pathAt(root, path), { mode: 0o755 });
  setOwner(root, path, owner);
}
