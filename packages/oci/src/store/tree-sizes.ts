import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicNow } from '@lkt/core';
import { namesIn } from '../io/files.ts';
import { putFile } from '../io/temp.ts';
import { diskUse, statsOf } from './disk-use.ts';

/**
 * Disk use of directories, remembered in the store's `sizes.json`, so that an immutable directory
 * is measured once.
 */
export class TreeSizes {
  readonly #path: string;
  readonly #temp: string;
  readonly #known: Map<string, number>;
  readonly #seen = new Map<string, number>();
  readonly #deadline: number;

  /**
   * @param deadline time of `monotonicNow()` after which an unmeasured directory keeps its last
   * known size, or counts as 0
   */
  constructor(store: string, deadline: number = Infinity) {
    this.#path = join(store, 'sizes.json');
    this.#temp = join(store, 'tmp');
    this.#known = read(this.#path);
    this.#deadline = deadline;
  }

  /**
   * Returns the disk use of a directory in bytes.
   * @param name key of the directory in `sizes.json`
   * @param isFixed its content never changes
   */
  of(name: string, path: string, isFixed: boolean): number {
    const known = this.#known.get(name);
    const size =
      known !== undefined && (isFixed || monotonicNow() > this.#deadline)
        ? known
        : treeSize(path, this.#deadline);
    if (size !== undefined) this.#seen.set(name, size);
    return size ?? 0;
  }

  /**
   * Saves the sizes requested from this instance and drops the others. Best effort: a store may be
   * read-only.
   */
  save(): void {
    const same =
      this.#seen.size === this.#known.size &&
      [...this.#seen].every(([name, size]) => this.#known.get(name) === size);
    if (same) return;
    try {
      putFile(this.#temp, this.#path, JSON.stringify(Object.fromEntries(this.#seen)));
    } catch {
      // The next process measures again.
    }
  }
}

/** Returns the disk use of a tree in bytes; undefined if the deadline passed first. */
function treeSize(root: string, deadline: number): number | undefined {
  const linked = new Set<number>();
  let total = 0;
  const waiting = [root];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (monotonicNow() > deadline) return undefined;
    const stats = statsOf(path);
    if (stats === undefined) continue;
    if (stats.isDirectory())
      for (const name of namesIn(path, { mayBeUnreadable: true })) waiting.push(join(path, name));
    else if (stats.nlink > 1) {
      if (linked.has(stats.ino)) continue;
      linked.add(stats.ino);
    }
    total += diskUse(stats);
  }
  return total;
}

function read(path: string): Map<string, number> {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    return new Map(
      Object.entries(value).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] >= 0,
      ),
    );
  } catch {
    return new Map();
  }
}
