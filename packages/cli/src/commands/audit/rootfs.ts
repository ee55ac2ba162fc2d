import { LktCommand } from '../../command.ts';
import { auditArgs, auditFlags, shellFlag } from '../../flags/audit.ts';
import { findingLines } from '../../output/audit-report.ts';
import { type AuditedImage, auditTargets } from '../../targets/audited-images.ts';

export class AuditRootfs extends LktCommand {
  static override summary = 'Find unwanted files in the file system of an image';
  static override description =
    'Finds setuid programs, world-writable files, package managers, private keys and passwords, expired certificates, and broken ELF files. Exits with 1 if there are findings.';
  static override examples = ['<%= config.bin %> audit rootfs pkg/sshd'];
  static override args = auditArgs;
  static override flags = { ...auditFlags, ...shellFlag };

  async run(): Promise<{ images: readonly Omit<AuditedImage, 'elf'>[] }> {
    const { args, flags } = await this.parse(AuditRootfs);
    const session = await this.begin(flags);
    const { requireWaived } = await import('@lkt/audit');
    const audited = await auditTargets(session, args.target, flags);
    const images = audited.map(({ reference, findings }) => ({ reference, findings }));
    this.endProgress();
    for (const { reference, findings } of images) {
      this.log(`${reference}  ${findings.length === 0 ? 'ok' : `${findings.length} found`}`);
      for (const line of findingLines(findings)) this.log(`  ${line}`);
    }
    requireWaived(
      [],
      images.flatMap(({ findings }) => findings),
      [],
    );
    return { images };
  }
}
