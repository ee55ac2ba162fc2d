import { AttestationCommand, attestationArgs, attestationFlags } from './attestation-command.ts';

export class PkgProvenance extends AttestationCommand {
  static override summary =
    'Print the SLSA provenance of an image: its inputs and how it was built';
  static override description =
    'Every package build stores this in-toto statement beside the image (docs/attestations.md). If several builds produced one image, prints one line for each.';
  static override examples = ['<%= config.bin %> pkg provenance pkg/sshd'];
  static override args = attestationArgs;
  static override flags = attestationFlags;

  async run(): Promise<{ statements: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgProvenance);
    return { statements: await this.show('provenance', args.image, flags) };
  }
}
