import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { LktCommand } from '../command.ts';

/** What lkt keeps beside the layout, all of it made from what is in there. */
const DERIVED = ['attestations', 'checks', 'layers', 'results', 'segments', 'steps'];

export class CacheClean extends LktCommand {
  static override summary = 'Empty the store';
  static override description =
    'Whatever was built can be built again, and what was downloaded is downloaded again.';
  static override flags = {
    unused: Flags.boolean({
      summary: 'only what no image in the store needs: downloads, and steps of builds',
    }),
  };

  async run(): Promise<{ removed: number; bytes: number }> {
    const { flags } = await this.parse(CacheClean);
    const session = await this.begin(flags);
    const store = await session.findStore();
    if (store === undefined) return { removed: 0, bytes: 0 };
    if (!flags.unused) for (const { reference } of await store.tags()) await store.untag(reference);
    const { removed, bytes } = await store.gc();
    for (const name of DERIVED)
      await rm(join(store.dir, name), { recursive: true, force: true, maxRetries: 2 });
    this.log(`removed ${removed} blobs, ${(bytes / 1e6).toFixed(0)} MB`);
    return { removed, bytes };
  }
}
