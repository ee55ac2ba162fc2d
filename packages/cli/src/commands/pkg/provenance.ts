import { AttestationCommand, attestationArgs, attestationFlags } from './attestation-command.ts';

export class PkgProvenance extends AttestationCommand {
  static override summary = 'Print what an image was built from: its provenance';
  static override description =
    'Every build of a package puts an in-toto statement with SLSA provenance beside the image, with the digest of each input. The same sources give the same bytes. Where several builds gave one image, each has a line.';
  static override examples = ['<%= config.bin %> pkg provenance pkg/sshd'];
  static override args = attestationArgs;
  static override flags = attestationFlags;

  async run(): Promise<{ statements: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgProvenance);
    return { statements: await this.show('provenance', args.image, flags) };
  }
}
