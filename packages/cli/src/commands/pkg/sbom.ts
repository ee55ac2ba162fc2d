import { LktCommand } from '../../command.ts';
import { packageFlags } from '../../flags/package.ts';
import { attestationsOf } from '../../output/show-attestation.ts';
import { Args, Flags } from '../../flags/options.ts';

export class PkgSbom extends LktCommand {
  static override summary = 'Print what is in an image: its SBOM';
  static override description =
    'Every build of a package puts one beside the image, made of what really went in. The same sources give the same bytes. docs/attestations.md says what is in it.';
  static override examples = [
    '<%= config.bin %> pkg sbom pkg/sshd',
    '<%= config.bin %> pkg sbom lkt/sshd@sha256:…',
  ];
  static override args = {
    image: Args.string({
      description: 'directory of a package, which is built if it is not, or an image in the store',
      required: true,
    }),
  };
  static override flags = {
    ...packageFlags,
    format: Flags.option({ options: ['spdx'] as const })({
      summary: 'SPDX 2.3 in JSON',
      default: 'spdx',
    }),
    platform: Flags.string({
      summary: 'of the image for this platform; by default of all of them together',
      helpValue: 'linux/amd64',
    }),
  };

  async run(): Promise<{ documents: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgSbom);
    const session = await this.begin(flags);
    const texts = await attestationsOf(session, {
      kind: 'sbom',
      image: args.image,
      buildYml: flags['build-yml'],
      platform: flags.platform,
    });
    this.endProgress();
    for (const text of texts) this.log(text);
    return { documents: texts.map((text) => JSON.parse(text) as unknown) };
  }
}
