import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { putFile } from '../io/temp.ts';

/** The disk use of a store and of its whole file system at one time, in bytes. */
interface Size {
  readonly bytes: number;
  readonly disk: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/**
 * How long a record is valid. Another process may free space meanwhile, which hides growth of the
 * store.
 */
const MAX_AGE_MS = 10 * 60 * 1000;

/** Records the size of a store in its `size.json`. Best effort: the store may be read-only. */
export function recordStoreSize(store: string, bytes: number): void {
  try {
    const size: Size = { bytes, disk: takenOn(store), time: Date.now() };
    putFile(join(store, 'tmp'), join(store, 'size.json'), JSON.stringify(size));
  } catch {
    // The next command measures again.
  }
}

/**
 * Reports whether a store is known to be smaller than `max` bytes without measuring it, which takes
 * long for a large store: it was well below recently, and the disk has not filled much since.
 */
export function isStoreWellBelow(store: string, max: number): boolean {
  try {
    const { bytes, disk, time } = JSON.parse(
      readFileSync(join(store, 'size.json'), 'utf8'),
    ) as Partial<Size>;
    if (typeof bytes !== 'number' || typeof disk !== 'number' || typeof time !== 'number')
      return false;
    const age = Date.now() - time;
    const room = (max - bytes) / 2;
    return age >= 0 && age < MAX_AGE_MS && room > 0 && takenOn(store) - disk < room;
  } catch {
    return false;
  }
}

function takenOn(path: string): number {
  const { blocks, bfree, bsize } = statfsSync(path);
  return (blocks - bfree) * bsize;
}
