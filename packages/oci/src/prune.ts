import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, isErrno } from '@lkt/core';
import type { Blobs } from './blobs.ts';
import type { CacheArea, CacheItem } from './cache-area.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import { readLayoutIndex, writeLayoutIndex } from './layout-index.ts';
import { recordStoreSize } from './store-size.ts';
import { withLockAt } from './lock.ts';
import { ownerToken } from './owner.ts';
import { TreeSizes } from './tree-sizes.ts';
import type { Writers } from './writers.ts';

export interface PruneOptions {
  /** Removes what was used longest ago until all that is left takes no more than so many bytes. */
  readonly keepBytes?: number | undefined;
  /** Removes what was last used before this time, in milliseconds since 1970. */
  readonly before?: number | undefined;
  /** Only these names in the index of the store may go; by default none may. */
  readonly images?: ((reference: string) => boolean) | undefined;
  /** Of what is no garbage only this may go. */
  readonly only?: ((item: CacheItem) => boolean) | undefined;
  /** Leaves what was used since then. */
  readonly since?: number | undefined;
  /** Milliseconds to count sizes for; what is not counted then counts as it last did. */
  readonly sizingTimeoutMs?: number | undefined;
  /** Milliseconds to wait for another process that prunes; default ten minutes. */
  readonly lockTimeoutMs?: number | undefined;
  readonly dryRun?: boolean | undefined;
  /** Does nothing, not even with garbage, and holds nobody up where no more than `keepBytes` is taken. */
  readonly isOnlyAbove?: boolean | undefined;
}

export interface PruneResult {
  readonly removed: readonly CacheItem[];
  /** Freed, or what would be. */
  readonly bytes: number;
  /** What is left. */
  readonly left: number;
  /** Removed from their places already, but not from the disk. */
  readonly trash: readonly string[];
}

/** Clocks of file systems lag behind those of machines. */
const SLACK_MS = 2_000;

/**
 * Removes what is garbage or was used longest ago, while other processes use the store. They hold still for the time it
 * takes to look through the store; what they have used since they began stays.
 */
export async function prune(
  store: { readonly dir: string; readonly blobs: Blobs; readonly writers: Writers },
  areas: readonly CacheArea[],
  options: PruneOptions,
): Promise<PruneResult> {
  const { dir, blobs, writers } = store;
  const deadline = performance.now() + (options.sizingTimeoutMs ?? Infinity);
  // Beforehand, since it takes the most time.
  const sizes = new TreeSizes(dir, deadline);
  const before = await takeInventory(dir, blobs, await readLayoutIndex(dir), areas, sizes);
  sizes.save();
  const total = sizeOf(before);
  if (options.isOnlyAbove === true && total <= (options.keepBytes ?? Infinity)) {
    recordStoreSize(dir, total);
    return { removed: [], bytes: 0, left: total, trash: [] };
  }
  return writers.collect(
    async (inUse) =>
      withLockAt(join(dir, 'locks', 'index.lock'), async () => {
        const index = await readLayoutIndex(dir);
        const now = new TreeSizes(dir, performance.now());
        const inventory = await takeInventory(dir, blobs, index, areas, now);
        const since = Math.min(inUse ?? Infinity, options.since ?? Infinity) - SLACK_MS;
        const chosen = choose(inventory, options, since);
        if (options.dryRun === true) return { ...chosen.result, trash: [] };
        const entries = index.entries.filter(
          ({ reference, descriptor }) =>
            !chosen.names.has(reference ?? '') &&
            !(reference === undefined && chosen.blobs.has(descriptor.digest)),
        );
        // The entries go first: one whose blobs are gone is damage, a blob without an entry is only garbage.
        if (entries.length < index.entries.length)
          await writeLayoutIndex(
            dir,
            index.document,
            entries.map(({ json }) => json),
          );
        const trash = join(dir, 'tmp', ownerToken());
        const paths = [
          ...chosen.result.removed.flatMap((item) => item.paths),
          ...[...chosen.blobs].map((digest) => blobs.path(digest)),
        ];
        if (paths.length > 0) await mkdir(trash, { recursive: true, mode: 0o700 });
        for (const [number, path] of paths.entries())
          await rename(path, join(trash, String(number))).catch(ignoreGone);
        return { ...chosen.result, trash: paths.length > 0 ? [trash] : [] };
      }),
    options.lockTimeoutMs,
  );
}

interface Chosen {
  readonly names: ReadonlySet<string>;
  readonly blobs: ReadonlySet<Digest>;
  readonly result: Omit<PruneResult, 'trash'>;
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
  const doomed = new Set<Digest>();
  const remove = (item: CacheItem): void => {
    removed.push(item);
    left -= item.bytes;
    for (const digest of item.blobs) {
      const count = (users.get(digest) ?? 0) - 1;
      users.set(digest, count);
      const blob = blobs.get(digest);
      // One that is used again is as good as new, whoever needed it before.
      if (count > 0 || blob === undefined || blob.lastUsed >= since) continue;
      doomed.add(digest);
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
  return { names, blobs: doomed, result: { removed, bytes: whole - left, left } };
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

/** Its owner may have removed it itself. What cannot be moved stays. */
function ignoreGone(error: unknown): void {
  if (!isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'ENOTEMPTY')) throw error;
}
