import { LktCommand } from '../../command.ts';
import { auditArgs, auditFlags, shellFlag } from '../../flags/audit.ts';
import { elfLines, findingLines } from '../../output/audit-report.ts';
import { type AuditedImage, auditTargets } from '../../targets/audited-images.ts';

export class AuditImage extends LktCommand {
  static override summary = 'Audit the programs and the file system of an image';
  static override description =
    'Runs the checks of "lkt audit elf" and "lkt audit rootfs", for an image config on every image it pins. Exits with 1 if there are findings.';
  static override examples = ['<%= config.bin %> audit image examples/sshd.yml'];
  static override args = auditArgs;
  static override flags = { ...auditFlags, ...shellFlag };

  async run(): Promise<{ images: readonly AuditedImage[] }> {
    const { args, flags } = await this.parse(AuditImage);
    const session = await this.begin(flags);
    const { ELF_RULES, requireWaived } = await import('@lkt/audit');
    const images = await auditTargets(session, args.target, flags);
    this.endProgress();
    for (const { reference, elf, findings } of images) {
      this.log(reference);
      for (const line of [...(await elfLines(elf)), ...findingLines(findings)])
        this.log(`  ${line}`);
    }
    requireWaived(
      images.flatMap(({ elf }) => elf),
      images.flatMap(({ findings }) => findings),
      ELF_RULES,
    );
    return { images };
  }
}
