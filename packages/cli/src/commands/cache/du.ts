import type { CacheItem, Inventory } from '@lkt/oci';
import { LktCommand } from '../../command.ts';
import { builderContainerFlags, noop } from '../../flags/linuxkit.ts';
import { showSize } from '../../flags/sizes.ts';
import { columns } from '../../output/columns.ts';
import { cacheAreas } from '../../session/cache-areas.ts';

interface Area {
  readonly name: string;
  readonly count: number;
  /** Size on disk. A blob that several areas use counts for the first of them. */
  readonly bytes: number;
  /** Time of the last use, in ISO 8601. */
  readonly lastUsed: string | undefined;
}

interface ImageUse {
  readonly name: string;
  readonly bytes: number;
  /** The bytes that nothing else in the store needs. */
  readonly own: number;
  readonly lastUsed: string;
}

export class CacheDu extends LktCommand {
  static override summary = 'Show the disk usage of the store';
  static override description =
    'A shared blob counts for its first user, in the order images, results, steps. With "-v 2" (or --json), lists each image and the bytes that only this image needs.';

  /** Flags of LinuxKit's `pkg builder du`. */
  static override linuxkit = {
    ...builderContainerFlags,
    builders: noop('value'),
    platforms: noop('value'),
  };

  async run(): Promise<{
    areas: readonly Area[];
    images: readonly ImageUse[];
    bytes: number;
  }> {
    const { flags } = await this.parse(CacheDu);
    const session = await this.begin(flags);
    const store = await session.findStore();
    if (store === undefined) return { areas: [], images: [], bytes: 0 };
    const inventory = await store.inventory(await cacheAreas());
    const areas = areasOf(inventory);
    const images = imagesOf(inventory);
    const bytes = areas.reduce((sum, area) => sum + area.bytes, 0);
    this.endProgress();
    const total = { name: 'total', count: '', bytes, lastUsed: undefined };
    const rows = [...areas, total].map((area) => [
      area.name,
      String(area.count),
      showSize(area.bytes),
      day(area.lastUsed),
    ]);
    for (const line of columns([['WHAT', 'COUNT', 'SIZE', 'LAST USED'], ...rows])) this.log(line);
    if ((flags.verbose ?? 1) > 1) {
      this.log('');
      const lines = images.map(({ name, bytes: all, own, lastUsed }) => [
        name,
        showSize(all),
        showSize(own),
        day(lastUsed),
      ]);
      for (const line of columns([['IMAGE', 'SIZE', 'OWN', 'LAST USED'], ...lines])) this.log(line);
    }
    return { areas, images, bytes };
  }
}

/** The areas in the order in which shared blobs are attributed. */
const ORDER = [
  'images',
  'results',
  'steps',
  'layers',
  'mounts',
  'contents',
  'segments',
  'attestations',
  'archives',
  'checks',
  'compiled',
  'downloads',
  'unreferenced',
  'temporary',
];

function areasOf({ items, blobs }: Inventory): readonly Area[] {
  const claimed = new Set<string>();
  return ORDER.map((name) => {
    const own = items.filter((item) => item.area === name);
    let bytes = 0;
    for (const item of own) {
      bytes += item.bytes;
      for (const digest of item.blobs) {
        if (claimed.has(digest)) continue;
        claimed.add(digest);
        bytes += blobs.get(digest)?.bytes ?? 0;
      }
    }
    const lastUsed = own.length === 0 ? undefined : iso(Math.max(...own.map(timeOf)));
    return { name, count: own.length, bytes, lastUsed };
  });
}

function imagesOf({ items, blobs }: Inventory): readonly ImageUse[] {
  const users = new Map<string, number>();
  for (const digest of items.flatMap((item) => item.blobs))
    users.set(digest, (users.get(digest) ?? 0) + 1);
  return items
    .filter((item) => item.area === 'images')
    .map((item) => {
      const sizes = item.blobs.map((digest) => ({
        bytes: blobs.get(digest)?.bytes ?? 0,
        isOwn: users.get(digest) === 1,
      }));
      return {
        name: item.name,
        bytes: totalOf(sizes),
        own: totalOf(sizes.filter(({ isOwn }) => isOwn)),
        lastUsed: iso(item.lastUsed),
      };
    });
}

function totalOf(sizes: readonly { readonly bytes: number }[]): number {
  return sizes.reduce((total, { bytes }) => total + bytes, 0);
}

function timeOf({ lastUsed }: CacheItem): number {
  return lastUsed;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function day(time: string | undefined): string {
  return time === undefined ? '' : time.slice(0, 16).replace('T', ' ');
}
