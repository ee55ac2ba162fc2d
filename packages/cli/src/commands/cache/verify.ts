import { LktError } from '@lkt/core';
import type { StoreCheck } from '@lkt/oci';
import { LktCommand } from '../../command.ts';
import { switchFlag } from '../../flags/options.ts';
import { cacheAreas } from '../../session/cache-areas.ts';

interface Result {
  readonly checked: number;
  readonly removed: readonly string[];
  /** Paths of results of earlier commands. */
  readonly cached: { readonly checked: number; readonly removed: readonly string[] };
}

export class CacheVerify extends LktCommand {
  static override summary = 'Check the store: blobs by their digest, cached results by their seal';
  static override examples = ['<%= config.bin %> cache verify --remove'];
  static override flags = {
    remove: switchFlag('delete those that do not match'),
  };

  async run(): Promise<Result> {
    const { flags } = await this.parse(CacheVerify);
    const session = await this.begin(flags);
    const { reporter } = session;
    const store = await session.findStore();
    if (store === undefined)
      return { checked: 0, removed: [], cached: { checked: 0, removed: [] } };
    const id = 'verify';
    reporter.emit({ kind: 'start', id, title: `checking ${store.dir}` });
    const areas = await cacheAreas();
    const found = await store.verify({ remove: flags.remove, areas }, (current, total) =>
      reporter.emit({ kind: 'progress', id, current, total, unit: 'items' }),
    );
    const { checked, bad, cached } = found;
    if (bad.length + cached.bad.length > 0 && !flags.remove) throw problem(found);
    reporter.emit({ kind: 'done', id, cached: false });
    this.endProgress();
    this.log(`${checked} blobs checked, ${bad.length} removed`);
    this.log(`${cached.checked} cached results checked, ${cached.bad.length} removed`);
    return {
      checked,
      removed: bad.map(({ digest }) => digest),
      cached: { checked: cached.checked, removed: cached.bad },
    };
  }
}

function problem({ checked, bad, cached }: StoreCheck): LktError {
  const paths = [...bad.map(({ path }) => path), ...cached.bad];
  const messages = [
    ...(bad.length === 0 ? [] : [`${bad.length} of ${checked} blobs do not match their digest`]),
    ...(cached.bad.length === 0
      ? []
      : [`${cached.bad.length} of ${cached.checked} cached results are damaged or not yours`]),
  ];
  return new LktError('DIGEST_MISMATCH', messages.join('; '), {
    detail: paths.map((path) => `  ${path}`).join('\n'),
    fix: 'delete them with lkt cache verify --remove; lkt builds or downloads them again',
    report: { blobs: bad.map(({ digest }) => digest), cached: cached.bad },
  });
}
