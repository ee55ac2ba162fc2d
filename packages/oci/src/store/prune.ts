import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, isErrno, monotonicNow } from '@lkt/core';
import type { Blobs } from './blobs.ts';
import type { CacheArea, CacheItem } from './cache-area.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import { readLayoutIndex, writeLayoutIndex } from './layout-index.ts';
import { recordStoreSize } from './store-size.ts';
import { withLockAt } from './lock.ts';
import { TreeSizes } from './tree-sizes.ts';
import { CLOCK_SLACK_MS, type Writers } from './writers.ts';

/** The choice of items to remove from a store. */
export interface PruneOptions {
  /** Removes the least recently used items until at most this many bytes remain. */
  readonly keepBytes?: number | undefined;
  /** Removes items last used before this time, in milliseconds since 1970. */
  readonly before?: number | undefined;
  /** Accepts the names in the store's index that may be removed; default: none. */
  readonly images?: ((reference: string) => boolean) | undefined;
  /** Accepts the items that may be removed, apart from garbage. */
  readonly only?: ((item: CacheItem) => boolean) | undefined;
  /** Keeps items used since this time, in milliseconds since 1970. */
  readonly since?: number | undefined;
  /** Maximum time to measure directories, in milliseconds; the rest keep their last known size. */
  readonly sizingTimeoutMs?: number | undefined;
  /** Maximum wait for another pruning process, in milliseconds; default ten minutes. */
  readonly lockTimeoutMs?: number | undefined;
  /** Computes the result without removing anything. */
  readonly dryRun?: boolean | undefined;
  /** Does nothing, not even to garbage, if the store is within `keepBytes`; then takes no lock. */
  readonly isOnlyAbove?: boolean | undefined;
}

/** The items removed from a store. */
export interface PruneResult {
  readonly removed: readonly CacheItem[];
  /** Bytes freed, or to be freed with `dryRun`. */
  readonly bytes: number;
  /** Bytes that remain. */
  readonly left: number;
}

/**
 * Moves garbage and the least recently used items to a directory while other processes use the
 * store. They pause only while the store is examined; items that a running process has used stay.
 * @param trash directory of the items, in the store; created if there are any, also on a failure
 */
export async function prune(
  store: Blobs,
  writers: Writers,
  areas: readonly CacheArea[],
  options: PruneOptions,
  trash: string,
): Promise<PruneResult> {
  const { dir } = store;
  const deadline = monotonicNow() + (options.sizingTimeoutMs ?? Infinity);
  // Measured before the lock is taken, since it takes the most time.
  const sizes = new TreeSizes(dir, deadline);
  const before = await takeInventory(store, await readLayoutIndex(dir), areas, sizes);
  sizes.save();
  const total = sizeOf(before);
  if (options.isOnlyAbove === true && total <= (options.keepBytes ?? Infinity)) {
    recordStoreSize(dir, total);
    return { removed: [], bytes: 0, left: total };
  }
  return writers.collect(
    async (inUse) =>
      withLockAt(join(dir, 'locks', 'index.lock'), async () => {
        const index = await readLayoutIndex(dir);
        const now = new TreeSizes(dir, monotonicNow());
        const inventory = await takeInventory(store, index, areas, now);
        const since = Math.min(inUse ?? Infinity, options.since ?? Infinity) - CLOCK_SLACK_MS;
        const chosen = choose(inventory, options, since);
        if (options.dryRun === true) return chosen.result;
        const entries = index.entries.filter(
          ({ reference, descriptor }) =>
            !chosen.names.has(reference ?? '') &&
            !(reference === undefined && chosen.blobs.has(descriptor.digest)),
        );
        // Entries first: an entry without its blobs is damage, a blob without an entry only
        // garbage.
        if (entries.length < index.entries.length)
          await writeLayoutIndex(dir, index.document, entries);
        const paths = [
          ...chosen.result.removed.flatMap((item) => item.paths),
          ...[...chosen.blobs].map((digest) => store.blobPath(digest)),
        ];
        if (paths.length > 0) await mkdir(trash, { recursive: true, mode: 0o700 });
        for (const [number, path] of paths.entries())
          await rename(path, join(trash, String(number))).catch(ignoreGone);
        return chosen.result;
      }),
    options.lockTimeoutMs,
  );
}

interface Chosen {
  readonly names: ReadonlySet<string>;
  readonly blobs: ReadonlySet<Digest>;
  readonly result: PruneResult;
}

function choose(
  { items, blobs }: Inventory,
  {
    keepBytes = Infinity,
    before = -Infinity,
    images = () => false,
    only = () => true,
  }: PruneOptions,
  since: number,
): Chosen {
  const users = new Map<Digest, number>();
  for (const digest of items.flatMap((item) => item.blobs))
    users.set(digest, (users.get(digest) ?? 0) + 1);
  const whole = sizeOf({ items, blobs });
  let left = whole;
  const removed: CacheItem[] = [];
  const removedBlobs = new Set<Digest>();
  const remove = (item: CacheItem): void => {
    removed.push(item);
    left -= item.bytes;
    for (const digest of item.blobs) {
      const count = (users.get(digest) ?? 0) - 1;
      users.set(digest, count);
      const blob = blobs.get(digest);
      // A blob in recent use stays, whichever item needs it.
      if (count > 0 || blob === undefined || blob.lastUsed >= since) continue;
      removedBlobs.add(digest);
      left -= blob.bytes;
    }
  };
  const idle = items.filter(({ lastUsed }) => lastUsed < since);
  for (const item of idle) if (item.isGarbage === true) remove(item);
  const candidates = idle
    .filter((item) => isCandidate(item, images) && only(item))
    .toSorted((a, b) => a.lastUsed - b.lastUsed);
  for (const item of candidates) if (item.lastUsed < before || left > keepBytes) remove(item);
  const names = new Set(removed.flatMap(({ reference }) => reference ?? []));
  return { names, blobs: removedBlobs, result: { removed, bytes: whole - left, left } };
}

function sizeOf({ items, blobs }: Inventory): number {
  let size = items.reduce((sum, item) => sum + item.bytes, 0);
  for (const { bytes } of blobs.values()) size += bytes;
  return size;
}

function isCandidate(item: CacheItem, images: (reference: string) => boolean): boolean {
  if (item.isGarbage === true || item.area === 'temporary') return false;
  if (item.area !== 'images') return true;
  return item.reference !== undefined && images(item.reference);
}

/** Ignores a file that its owner has removed already, or that cannot be moved. */
function ignoreGone(error: unknown): void {
  if (!isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'ENOTEMPTY')) throw error;
}
