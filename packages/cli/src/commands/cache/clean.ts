import { LktCommand } from '../../command.ts';
import { builderContainerFlags, ignoredPackageFlags, noop } from '../../flags/linuxkit.ts';
import { switchFlag } from '../../flags/options.ts';
import { publishedOnly, registryFlags } from '../../flags/registry.ts';
import { showSize } from '../../flags/sizes.ts';
import { publishedIn } from '../../session/registries/registries.ts';
import { cacheAreas } from '../../session/cache-areas.ts';
import { counted } from '../../output/lines.ts';

export class CacheClean extends LktCommand {
  static override summary = 'Empty the store';
  static override description = 'Keeps the files that a running build uses.';
  static override examples = ['<%= config.bin %> cache clean --unused'];
  static override flags = {
    ...registryFlags,
    ...publishedOnly,
    unused: switchFlag('remove only downloads and build steps that no image needs', {
      exclusive: ['published-only'],
    }),
    'dry-run': switchFlag('only list what would be removed'),
  };
  /** Flags of LinuxKit's `pkg builder prune`. */
  static override linuxkit = {
    ...builderContainerFlags,
    ...ignoredPackageFlags,
    builders: noop('value'),
    platforms: noop('value'),
  };

  async run(): Promise<{ removed: number; bytes: number }> {
    const { flags } = await this.parse(CacheClean);
    const session = await this.begin(flags);
    const verb = flags['dry-run'] ? 'would remove' : 'removed';
    const store = await session.findStore();
    if (store === undefined) return { removed: 0, bytes: 0 };
    if (flags['published-only']) {
      const tags = (await store.tags()).map(({ reference }) => reference);
      const names = await publishedIn(session, flags, store, tags);
      const { removeImages } = await import('@lkt/oci');
      const freed = await removeImages(store, await cacheAreas(), new Set(names), flags['dry-run']);
      this.endProgress();
      if (flags['dry-run']) for (const name of names) this.log(`images ${name}`);
      this.log(`${verb} ${counted(names.length, 'image')}, ${showSize(freed)}`);
      return { removed: names.length, bytes: freed };
    }
    const { removeDirectory } = await import('@lkt/builder');
    const { removed, bytes } = await store.prune(
      await cacheAreas(),
      { before: Infinity, images: () => !flags.unused, dryRun: flags['dry-run'] },
      removeDirectory,
    );
    this.endProgress();
    if (flags['dry-run']) for (const { area, name } of removed) this.log(`${area} ${name}`);
    this.log(`${verb} ${removed.length} items, ${showSize(bytes)}`);
    return { removed: removed.length, bytes };
  }
}
