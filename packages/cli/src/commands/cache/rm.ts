import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { requiredArgs } from '../../flags/options.ts';
import { publishedOnly, registryFlags } from '../../flags/registry.ts';
import { cacheAreas } from '../../session/cache-areas.ts';
import { publishedIn } from '../../session/registries/registries.ts';

export class CacheRm extends LktCommand {
  static override summary = 'Remove images from the store';
  static override description = 'Keeps layers of other images, and what a running build uses.';
  static override examples = ['<%= config.bin %> cache rm lkt/sshd'];
  static override args = {
    image: requiredArgs(
      'a reference, as printed by "lkt cache ls", or one without a tag for all its tags',
    ),
  };

  static override flags = { ...registryFlags, ...publishedOnly };

  async run(): Promise<{ removed: readonly string[]; bytes: number }> {
    const { args, flags } = await this.parse(CacheRm);
    const session = await this.begin(flags);
    const { familiarReference, formatReference, parseReference, removeImages } =
      await import('@lkt/oci');
    const store = await session.findStore();
    const tags = ((await store?.tags()) ?? []).map(({ reference }) => reference);
    const removed: string[] = [];
    for (const text of args.image) {
      const wanted = formatReference(parseReference(text));
      const found = tags.filter(
        (tag) => tag === wanted || tag.startsWith(`${wanted}:`) || tag.startsWith(`${wanted}@`),
      );
      if (found.length === 0) {
        throw new LktError('NOT_FOUND', `${text} is not in the store`, {
          fix: 'list the images: lkt cache ls',
        });
      }
      removed.push(...found);
    }
    if (store === undefined) return { removed: [], bytes: 0 };
    const chosen = flags['published-only']
      ? await publishedIn(session, flags, store, removed)
      : removed;
    const bytes = await removeImages(store, await cacheAreas(), new Set(chosen));
    const names = chosen.map((tag) => familiarReference(parseReference(tag)));
    for (const name of names) this.log(`removed ${name}`);
    return { removed: names, bytes };
  }
}
