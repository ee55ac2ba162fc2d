import { LktCommand } from '../../command.ts';
import { auditArgs, auditFlags, shellFlag } from '../../flags/audit.ts';
import { elfLines, findingLines } from '../../output/audit-report.ts';
import { type AuditedImage, auditTarget } from '../../session/audit-targets.ts';
import { readWaivers } from '../../session/waivers.ts';

interface Result {
  readonly images: readonly AuditedImage[];
}

export class AuditImage extends LktCommand {
  static override summary = 'Audit the programs and the file system of an image';
  static override description =
    'Runs the checks of `lkt audit elf` and `lkt audit rootfs`. For an image config, checks every image that it pins. Exits with 1 if there are findings.';
  static override examples = ['<%= config.bin %> audit image examples/sshd.yml'];
  static override args = auditArgs;
  static override flags = { ...auditFlags, ...shellFlag };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(AuditImage);
    const session = await this.begin(flags);
    const { ELF_RULES, requireWaived } = await import('@lkt/audit');
    const waivers = (await readWaivers(session, flags.waivers)).files;
    const images: AuditedImage[] = [];
    for (const target of args.target)
      images.push(...(await auditTarget(session, target, flags, waivers)));
    this.endProgress();
    for (const { reference, elf, findings } of images) {
      this.log(reference);
      for (const line of [...(await elfLines(elf)), ...findingLines(findings)])
        this.log(`  ${line}`);
    }
    const of = <T>(pick: (image: AuditedImage) => readonly T[]): readonly T[] =>
      images.flatMap(pick);
    requireWaived(
      of(({ elf }) => elf),
      of(({ findings }) => findings),
      ELF_RULES,
    );
    return { images };
  }
}
