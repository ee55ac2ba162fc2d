import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { WaivedElf } from '@lkt/audit';
import { LktCommand } from '../../command.ts';
import { auditFlags } from '../../flags/audit.ts';
import { requiredArgs } from '../../flags/options.ts';
import { elfLines } from '../../output/audit-report.ts';
import { auditTarget } from '../../targets/audited-images.ts';
import type { Session } from '../../session/session.ts';
import { readWaivers } from '../../targets/waivers.ts';

interface Result {
  readonly files: readonly WaivedElf[];
}

export class AuditElf extends LktCommand {
  static override summary = 'Check how programs and libraries were compiled and linked';
  static override description = `Exits with 1 if a rule does not hold: pie, nx, wx, relro, bind-now, rpath or stack-protector (docs/audit.md).`;
  static override examples = ['<%= config.bin %> audit elf /usr/bin'];
  static override args = {
    target: requiredArgs(
      'a local file or directory; else a reference in the store, a package directory or an image config',
    ),
  };
  static override flags = auditFlags;

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(AuditElf);
    const session = await this.begin(flags);
    const { applyWaivers, auditHostFiles, ELF_RULES, requireWaived } = await import('@lkt/audit');
    const waivers = (await readWaivers(session, flags.waivers)).files;
    const files: WaivedElf[] = [];
    for (const target of args.target) {
      if (await isOfHost(session, target)) {
        const elf = await auditHostFiles(resolve(session.environment.cwd, target), target);
        files.push(...applyWaivers({ elf, findings: [] }, waivers).elf);
      } else {
        const images = await auditTarget(session, target, flags, waivers);
        for (const { reference, elf } of images)
          files.push(...elf.map((one) => ({ ...one, path: `${reference} ${one.path}` })));
      }
    }
    this.endProgress();
    for (const line of await elfLines(files)) this.log(line);
    requireWaived(files, [], ELF_RULES);
    return { files };
  }
}

/**
 * Reports whether the target is a local file that is not a config, or a directory that is not a
 * package.
 */
async function isOfHost({ environment }: Session, target: string): Promise<boolean> {
  const path = resolve(environment.cwd, target);
  if (/\.ya?ml$/.test(target)) return false;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return found !== undefined;
  return (await stat(`${path}/build.yml`).catch(() => undefined)) === undefined;
}
