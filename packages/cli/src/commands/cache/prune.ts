import { LktCommand } from '../../command.ts';
import { switchFlag, valueFlag } from '../../flags/options.ts';
import { durationOf } from '../../flags/durations.ts';
import { showSize, sizeOf } from '../../flags/sizes.ts';
import { cacheAreas } from '../../session/cache-areas.ts';
import { pruneStore } from '../../session/cache-limit.ts';
import { cacheMaxSetting } from '../../session/environment.ts';

export class CachePrune extends LktCommand {
  static override summary = 'Remove unneeded and least recently used data from the store';
  static override description = `Removes unreachable blobs and leftovers of processes; then the least recently used data, as the options say, or until the store takes no more than LKT_CACHE_MAX. Keeps tagged images, except those of uncommitted sources (-dirty-), and what another process uses.`;
  static override examples = [
    '<%= config.bin %> cache prune --keep-storage 10G',
    '<%= config.bin %> cache prune --older-than 14d --all --dry-run',
  ];
  static override flags = {
    'keep-storage': valueFlag('SIZE', 'maximum size of the store, such as 10G'),
    'older-than': valueFlag('DURATION', 'minimum time since the last use, such as 14d or 12h'),
    all: switchFlag('also remove tagged images'),
    'dry-run': switchFlag('only list what would be removed'),
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
    this.log(`${verb} ${removed.length} items, ${showSize(bytes)}; ${showSize(left)} left`);
    return { removed: removed.map(({ area, name }) => ({ area, name })), bytes, left };
  }
}
