import { resolve } from 'node:path';
import { LktCommand } from '../../command.ts';
import { Args, switchFlag } from '../../flags/options.ts';

export class FleetImage extends LktCommand {
  static override summary = 'Add the outputs of a build to the store, as an image for a fleet';
  static override description =
    'Prints NAME@DIGEST for fleet.yml, of an OCI artifact with kernel, initrd, command line and SBOM. lkt pkg sign signs it, lkt cache push pushes it.';
  static override examples = ['<%= config.bin %> fleet image out/redis registry.example.com/redis'];
  static override args = {
    prefix: Args.string({ description: 'the outputs: PREFIX-kernel…', required: true }),
    name: Args.string({ description: 'name of the image, with or without a tag', required: true }),
  };

  static override flags = {
    disk: switchFlag('add the disk of the same build, for clouds: format raw-efi or raw-bios'),
  };

  async run(): Promise<{ image: string; digest: string }> {
    const { args, flags } = await this.parse(FleetImage);
    const session = await this.begin(flags);
    const { parseReference } = await import('@lkt/oci');
    const { writeMachineImage } = await import('@lkt/fleet');
    const name = parseReference(args.name);
    const prefix = resolve(session.environment.cwd, args.prefix);
    const { digest } = await writeMachineImage(await session.openStore(), prefix, name, {
      hasDisk: flags.disk,
    });
    const image = `${args.name.replace(/@.*$/, '')}@${digest}`;
    this.endProgress();
    this.log(image);
    return { image, digest };
  }
}
