import { LktCommand } from '../../command.ts';
import { packageFlags } from '../../flags/package.ts';
import { attestationsOf } from '../../output/show-attestation.ts';
import { Args, Flags } from '../../flags/options.ts';

export class PkgProvenance extends LktCommand {
  static override summary = 'Print what an image was built from: its provenance';
  static override description =
    'Every build of a package puts an in-toto statement with SLSA provenance beside the image, with the digest of each input. The same sources give the same bytes. Where several builds gave one image, each has a line.';
  static override examples = ['<%= config.bin %> pkg provenance pkg/sshd'];
  static override args = {
    image: Args.string({
      description: 'directory of a package, which is built if it is not, or an image in the store',
      required: true,
    }),
  };
  static override flags = {
    ...packageFlags,
    platform: Flags.string({
      summary: 'of the image for this platform; by default of all of them together',
      helpValue: 'linux/amd64',
    }),
  };

  async run(): Promise<{ statements: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgProvenance);
    const session = await this.begin(flags);
    const texts = await attestationsOf(session, {
      kind: 'provenance',
      image: args.image,
      buildYml: flags['build-yml'],
      platform: flags.platform,
    });
    this.endProgress();
    for (const text of texts) this.log(text);
    return { statements: texts.map((text) => JSON.parse(text) as unknown) };
  }
}
