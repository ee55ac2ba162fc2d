import { LktCommand } from '../../command.ts';
import type { ImageName } from '../../targets/store-image.ts';

export class CacheLs extends LktCommand {
  static override summary = 'List the images in the store';
  static override examples = ['<%= config.bin %> cache ls'];

  async run(): Promise<{ images: readonly ImageName[] }> {
    const { flags } = await this.parse(CacheLs);
    const session = await this.begin(flags);
    const { familiarReference, parseReference } = await import('@lkt/oci');
    const store = await session.findStore();
    const images = ((await store?.tags()) ?? []).map(({ reference, descriptor }) => ({
      reference: familiarReference(parseReference(reference)),
      digest: descriptor.digest,
    }));
    for (const { reference, digest } of images) this.log(`${reference} ${digest}`);
    return { images };
  }
}
