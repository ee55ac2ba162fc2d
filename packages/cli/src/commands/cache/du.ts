import type { AreaUsage, ImageUsage } from '@lkt/oci';
import { LktCommand } from '../../command.ts';
import { builderContainerFlags, ignoredPackageFlags, noop } from '../../flags/linuxkit.ts';
import { showSize } from '../../flags/sizes.ts';
import { columns } from '../../output/lines.ts';
import { cacheAreas } from '../../session/cache-areas.ts';

export class CacheDu extends LktCommand {
  static override summary = 'Show the disk usage of the store';
  static override description =
    'A shared blob counts for its first user, in the order images, results, steps. With "-v 2" or --json, lists each image and the bytes that it alone needs.';
  static override examples = ['<%= config.bin %> cache du -v 2'];

  /** Flags of LinuxKit's `pkg builder du`. */
  static override linuxkit = {
    ...builderContainerFlags,
    ...ignoredPackageFlags,
    builders: noop('value'),
    platforms: noop('value'),
  };

  async run(): Promise<{
    areas: readonly AreaUsage[];
    images: readonly ImageUsage[];
    bytes: number;
  }> {
    const { flags } = await this.parse(CacheDu);
    const session = await this.begin(flags);
    const store = await session.findStore();
    if (store === undefined) return { areas: [], images: [], bytes: 0 };
    const { areaUsage, imageUsage } = await import('@lkt/oci');
    const inventory = await store.inventory(await cacheAreas());
    const areas = areaUsage(inventory, ORDER);
    const images = imageUsage(inventory);
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
  'collections',
  'vulns',
  'tuf',
  'unreferenced',
  'temporary',
];

function day(time: string | undefined): string {
  return time === undefined ? '' : time.slice(0, 16).replace('T', ' ');
}
