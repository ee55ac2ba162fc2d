import type { Inventory } from './inventory.ts';

/** The space that an area of a store takes. */
export interface AreaUsage {
  readonly name: string;
  readonly count: number;
  /** Size on disk. A blob that several areas use counts for the first of them. */
  readonly bytes: number;
  /** Time of the last use, in ISO 8601. */
  readonly lastUsed: string | undefined;
}

/** The space that a tagged image takes. */
export interface ImageUsage {
  readonly name: string;
  readonly bytes: number;
  /** The bytes that only this item needs. */
  readonly own: number;
  readonly lastUsed: string;
}

/** Returns the usage of the named areas; a shared blob counts for the first area that needs it. */
export function areaUsage(
  { items, blobs }: Inventory,
  names: readonly string[],
): readonly AreaUsage[] {
  const claimed = new Set<string>();
  return names.map((name) => {
    const own = items.filter(({ area }) => area === name);
    let bytes = 0;
    for (const item of own) {
      bytes += item.bytes;
      for (const digest of item.blobs) {
        if (claimed.has(digest)) continue;
        claimed.add(digest);
        bytes += blobs.get(digest)?.bytes ?? 0;
      }
    }
    const lastUsed = Math.max(...own.map((item) => item.lastUsed));
    return { name, count: own.length, bytes, lastUsed: own.length > 0 ? iso(lastUsed) : undefined };
  });
}

/** Returns the usage of each tagged image. */
export function imageUsage({ items, blobs }: Inventory): readonly ImageUsage[] {
  const users = Map.groupBy(
    items.flatMap((item) => item.blobs),
    (digest) => digest,
  );
  return items
    .filter(({ area }) => area === 'images')
    .map(({ name, blobs: needed, lastUsed }) => {
      const sizes = needed.map((digest) => ({ digest, bytes: blobs.get(digest)?.bytes ?? 0 }));
      const own = sizes.filter(({ digest }) => users.get(digest)?.length === 1);
      return { name, bytes: totalOf(sizes), own: totalOf(own), lastUsed: iso(lastUsed) };
    });
}

function totalOf(sizes: readonly { readonly bytes: number }[]): number {
  return sizes.reduce((total, { bytes }) => total + bytes, 0);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
