import { LktCommand } from '../../command.ts';
import { cacheAreas } from '../../session/cache-areas.ts';

export class CacheAdopt extends LktCommand {
  static override summary = 'Trust the package builds that another machine or user has cached';
  static override description =
    'Results without your seal count as missing (docs/trust.md). Run this only if you trust all who could write to the store.';
  static override examples = ['<%= config.bin %> cache adopt'];

  async run(): Promise<{ readonly adopted: readonly string[] }> {
    const { flags } = await this.parse(CacheAdopt);
    const session = await this.begin(flags);
    const store = await session.findStore();
    const adopted = store === undefined ? [] : await store.adopt(await cacheAreas());
    this.endProgress();
    this.log(`${adopted.length} cached results adopted`);
    return { adopted };
  }
}
