import { LktCommand } from '../../command.ts';
import { Flags } from '../../flags/options.ts';
import { durationOf, showSize, sizeOf } from '../../flags/sizes.ts';
import { cacheAreas } from '../../session/cache-areas.ts';
import { pruneStore } from '../../session/cache-limit.ts';
import { cacheMaxSetting } from '../../session/environment.ts';

export class CachePrune extends LktCommand {
  static override summary =
    'Remove from the store what is not needed, and what was used longest ago';
  static override description = `Always removes what nothing can use: blobs that nothing leads to, and what processes left that have died. Of the rest it removes what was used longest ago, as far as the options say; without them, until the store takes no more than LKT_CACHE_MAX.

Images with a tag stay, but for those of sources that were not committed (-dirty-). Nothing is removed that another process uses, so it can run at any time. What was removed is made or fetched again when it is needed.`;
  static override examples = [
    '<%= config.bin %> cache prune',
    '<%= config.bin %> cache prune --keep-storage 10G',
    '<%= config.bin %> cache prune --older-than 14d --all --dry-run',
  ];
  static override flags = {
    'keep-storage': Flags.string({
      summary: 'remove until the store takes no more than this',
      helpValue: 'SIZE',
    }),
    'older-than': Flags.string({
      summary: 'remove what was not used for so long, such as 14d or 12h',
      helpValue: 'DURATION',
    }),
    all: Flags.boolean({ summary: 'images with a tag may go too' }),
    'dry-run': Flags.boolean({ summary: 'only say what would be removed' }),
  };

  async run(): Promise<{
    removed: readonly { readonly area: string; readonly name: string }[];
    bytes: number;
    left: number;
  }> {
    const { flags } = await this.parse(CachePrune);
    const keep = flags['keep-storage'];
    const older = flags['older-than'];
    const keepBytes = keep === undefined ? undefined : sizeOf('--keep-storage', keep);
    const age = older === undefined ? undefined : durationOf('--older-than', older);
    const session = await this.begin(flags);
    const store = await session.findStore();
    if (store === undefined) return { removed: [], bytes: 0, left: 0 };
    const limit =
      keepBytes ??
      (age === undefined ? cacheMaxSetting(session.environment, store.dir).bytes : undefined);
    const { removed, bytes, left } = await pruneStore(store, await cacheAreas(), {
      keepBytes: limit,
      before: age === undefined ? undefined : Date.now() - age * 1000,
      dryRun: flags['dry-run'],
      images: flags.all ? () => true : undefined,
    });
    this.endProgress();
    if (flags['dry-run'] || (flags.verbose ?? 1) > 1)
      for (const { area, name } of removed) this.log(`${area} ${name}`);
    const verb = flags['dry-run'] ? 'would remove' : 'removed';
    this.log(`${verb} ${removed.length} things, ${showSize(bytes)}; ${showSize(left)} left`);
    return { removed: removed.map(({ area, name }) => ({ area, name })), bytes, left };
  }
}
