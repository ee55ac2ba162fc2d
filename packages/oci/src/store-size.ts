import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { putFile } from './temp.ts';

/** What a store and the whole file system took at some time. */
interface Size {
  readonly bytes: number;
  readonly disk: number;
  /** In milliseconds since 1970. */
  readonly time: number;
}

/** For how long it counts: others may have made room on the disk meanwhile, so that what is added does not show. */
const MAX_AGE_MS = 10 * 60 * 1000;

/** Remembers how much a store takes, in `size.json` of the store. Best effort: it may be read-only. */
export function recordStoreSize(store: string, bytes: number): void {
  try {
    const size: Size = { bytes, disk: takenOn(store), time: Date.now() };
    putFile(join(store, 'tmp'), join(store, 'size.json'), JSON.stringify(size));
  } catch {
    // It is looked through again the next time.
  }
}

/**
 * Whether a store takes less than `max` without a look through it, which takes the longer the more there is: it was far
 * below not long ago, and the disk has not filled much since.
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
