import { choiceFlag } from '../../flags/options.ts';
import { AttestationCommand, attestationArgs, attestationFlags } from './attestation-command.ts';

export class PkgSbom extends AttestationCommand {
  static override summary = 'Print the SBOM of an image';
  static override description =
    'Every package build stores it beside the image (docs/attestations.md).';
  static override examples = ['<%= config.bin %> pkg sbom lkt/sshd@sha256:…'];
  static override args = attestationArgs;
  static override flags = {
    ...attestationFlags,
    format: choiceFlag(['spdx'], 'SPDX 2.3 in JSON', { default: 'spdx' }),
  };

  async run(): Promise<{ documents: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgSbom);
    return { documents: await this.show('sbom', args.image, flags) };
  }
}
