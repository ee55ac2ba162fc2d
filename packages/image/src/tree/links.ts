import { LktError } from '@lkt/core';
import { baseName, fromRaw, joinPath, parentPath, type RawPath } from '@lkt/oci';
import type { Part } from './part.ts';

/** Maximum links followed in a path, as in the kernel. */
const MAX_LINKS = 40;
/** Maximum nesting of links whose own paths lead through links. */
const MAX_ROUNDS = 10;

/**
 * Symbolic links of the root file system, which redirect entries of all parts: with `bin ->
 * usr/bin` in one image, `bin/sh` of another lands at `usr/bin/sh`, in any order.
 */
export class RootLinks {
  readonly #links: ReadonlyMap<RawPath, RawPath> = new Map<RawPath, RawPath>();
  readonly #resolved = new Map<RawPath, RawPath>();

  /** @throws LktError TREE_CONFLICT for a cycle of links */
  constructor(parts: readonly Part[]) {
    const roots = parts.filter((part) => part.isRoot);
    for (let round = 0; ; round += 1) {
      const links = new Map<RawPath, RawPath>();
      for (const { entries } of roots) {
        for (const { path, type, link = '' } of entries) {
          if (type === 'directory') continue;
          const at = this.realPath(path);
          if (type === 'symlink') links.set(at, link);
          else links.delete(at);
        }
      }
      if (sameMap(links, this.#links)) return;
      if (round === MAX_ROUNDS) throw circle([...links.keys()][0] ?? '');
      this.#links = links;
      this.#resolved.clear();
    }
  }

  has(path: RawPath): boolean {
    return this.#links.has(path);
  }

  /** Returns the real path of an entry: links in its directory are followed. */
  realPath(path: RawPath): RawPath {
    const parent = parentPath(path);
    const real = this.directory(parent);
    return real === parent ? path : joinPath(real, baseName(path));
  }

  /** Returns the real path of a directory, which need not exist. */
  directory(path: RawPath): RawPath {
    if (path === '' || this.#links.size === 0) return path;
    const known = this.#resolved.get(path);
    if (known !== undefined) return known;
    const real = this.#follow(path);
    this.#resolved.set(path, real);
    return real;
  }

  #follow(path: RawPath): RawPath {
    let todo = path.split('/').toReversed();
    let at: RawPath = '';
    let followed = 0;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        at = parentPath(at);
        continue;
      }
      const next = joinPath(at, name);
      const target = this.#links.get(next);
      if (target === undefined) {
        at = next;
        continue;
      }
      followed += 1;
      if (followed > MAX_LINKS) throw circle(path);
      if (target.startsWith('/')) at = '';
      todo = [...todo, ...target.split('/').toReversed()];
    }
    return at;
  }
}

function sameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

function circle(path: RawPath): LktError {
  return new LktError('TREE_CONFLICT', `the symbolic links at /${fromRaw(path)} form a cycle`);
}
