import type { WaivedFinding } from '@lkt/audit';
import { LktCommand } from '../../command.ts';
import { auditArgs, auditFlags, shellFlag } from '../../flags/audit.ts';
import { findingLines } from '../../output/audit-report.ts';
import { auditTarget } from '../../session/audit-targets.ts';
import { readWaivers } from '../../session/waivers.ts';

interface Result {
  readonly images: readonly {
    readonly reference: string;
    readonly findings: readonly WaivedFinding[];
  }[];
}

export class AuditRootfs extends LktCommand {
  static override summary = 'Find unwanted files in the file system of an image';
  static override description =
    'Finds setuid programs, world-writable files, package managers, private keys and passwords (secret), expired certificates, and broken ELF files. Exits with 1 if there are findings.';
  static override examples = ['<%= config.bin %> audit rootfs --no-shell pkg/sshd'];
  static override args = auditArgs;
  static override flags = { ...auditFlags, ...shellFlag };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(AuditRootfs);
    const session = await this.begin(flags);
    const { requireWaived } = await import('@lkt/audit');
    const waivers = (await readWaivers(session, flags.waivers)).files;
    const images: Result['images'][number][] = [];
    for (const target of args.target)
      for (const { reference, findings } of await auditTarget(session, target, flags, waivers))
        images.push({ reference, findings });
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
