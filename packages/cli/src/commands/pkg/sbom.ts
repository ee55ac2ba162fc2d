import { Flags } from '../../flags/options.ts';
import { AttestationCommand, attestationArgs, attestationFlags } from './attestation-command.ts';

export class PkgSbom extends AttestationCommand {
  static override summary = 'Print what is in an image: its SBOM';
  static override description =
    'Every build of a package puts one beside the image, made of what really went in. The same sources give the same bytes. docs/attestations.md says what is in it.';
  static override examples = [
    '<%= config.bin %> pkg sbom pkg/sshd',
    '<%= config.bin %> pkg sbom lkt/sshd@sha256:…',
  ];
  static override args = attestationArgs;
  static override flags = {
    ...attestationFlags,
    format: Flags.option({ options: ['spdx'] as const })({
      summary: 'SPDX 2.3 in JSON',
      default: 'spdx',
    }),
  };

  async run(): Promise<{ documents: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgSbom);
    return { documents: await this.show('sbom', args.image, flags) };
  }
}
