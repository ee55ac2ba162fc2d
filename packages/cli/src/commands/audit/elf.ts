import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { WaivedElf } from '@lkt/audit';
import { LktCommand } from '../../command.ts';
import { auditFlags } from '../../flags/audit.ts';
import { Args } from '../../flags/options.ts';
import { elfLines } from '../../output/audit-report.ts';
import { auditTarget } from '../../session/audit-targets.ts';
import type { Session } from '../../session/session.ts';
import { readWaivers } from '../../session/waivers.ts';

interface Result {
  readonly files: readonly WaivedElf[];
}

export class AuditElf extends LktCommand {
  static override summary = 'Check how programs and libraries were compiled and linked';
  static override description = `Position independent (pie), no stack (nx) and no other memory (wx) that can be written and run, addresses of functions read-only (relro) and found before the start (bind-now), no directories of libraries of its own (rpath), canaries on the stack (stack-protector; not asked of Go and Rust, which check bounds).

A target is a file or a directory of this machine; else a reference of the store, the directory of a package, or an image config. Exits with 1 when a rule does not hold.`;
  static override examples = [
    '<%= config.bin %> audit elf pkg/sshd',
    '<%= config.bin %> audit elf /usr/bin',
  ];
  static override args = {
    target: Args.string({
      description: 'a file, a directory, a reference or an image config',
      required: true,
      multiple: true,
    }),
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

/** A file that is no config, or a directory that is no package. */
async function isOfHost({ environment }: Session, target: string): Promise<boolean> {
  const path = resolve(environment.cwd, target);
  if (/\.ya?ml$/.test(target)) return false;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return found !== undefined;
  return (await stat(`${path}/build.yml`).catch(() => undefined)) === undefined;
}
