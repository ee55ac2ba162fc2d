import { resolve } from 'node:path';
import { LktCommand } from '../command.ts';
import { requiredArg } from '../flags/options.ts';

export class MetadataCreate extends LktCommand {
  static override summary = 'Create a metadata disk for a machine';
  static override description =
    'Writes an ISO image with one file, "config", which lkt/metadata reads at boot, for "lkt run --disk". Equal metadata produces equal bytes.';
  static override examples = [
    `<%= config.bin %> metadata create data.iso '{"hostname": {"content": "web"}}'`,
  ];
  static override args = {
    file: requiredArg('the ISO image to write'),
    metadata: requiredArg('the metadata, as text'),
  };

  async run(): Promise<{ path: string; size: number }> {
    const { args, flags } = await this.parse(MetadataCreate);
    const session = await this.begin(flags);
    const { writeMetadataDisk } = await import('@lkt/machine');
    const path = resolve(session.environment.cwd, args.file);
    const size = await writeMetadataDisk(path, Buffer.from(args.metadata));
    return { path, size };
  }
}
