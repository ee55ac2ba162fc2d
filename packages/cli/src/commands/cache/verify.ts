import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { switchFlag } from '../../flags/options.ts';

export class CacheVerify extends LktCommand {
  static override summary = 'Check every blob in the store against its digest';
  static override flags = {
    remove: switchFlag('delete those that do not match'),
  };

  async run(): Promise<{ checked: number; removed: readonly string[] }> {
    const { flags } = await this.parse(CacheVerify);
    const session = await this.begin(flags);
    const { reporter } = session;
    const store = await session.findStore();
    if (store === undefined) return { checked: 0, removed: [] };
    const id = 'verify';
    reporter.emit({ kind: 'start', id, title: `checking ${store.dir}` });
    const { checked, bad } = await store.verify(flags, (current, total) =>
      reporter.emit({ kind: 'progress', id, current, total, unit: 'items' }),
    );
    if (bad.length > 0 && !flags.remove) {
      throw new LktError(
        'DIGEST_MISMATCH',
        `${bad.length} of ${checked} blobs do not match their digest`,
        {
          detail: bad.map(({ path }) => `  ${path}`).join('\n'),
          fix: 'delete them with lkt cache verify --remove; lkt builds or downloads them again',
        },
      );
    }
    reporter.emit({ kind: 'done', id, cached: false });
    this.endProgress();
    this.log(`${checked} blobs checked, ${bad.length} removed`);
    return { checked, removed: bad.map(({ digest }) => digest) };
  }
}
