import { LktError } from '@lkt/core';
import type { KernelVerdict } from '@lkt/audit';
import { LktCommand } from '../../command.ts';
import { auditFlags } from '../../flags/audit.ts';
import { Args, Flags } from '../../flags/options.ts';
import { columns } from '../../output/columns.ts';
import { printable } from '../../output/printable.ts';
import { kernelOf } from '../../session/kernel-targets.ts';
import { readWaivers } from '../../session/waivers.ts';

interface Verdict extends KernelVerdict {
  readonly waived?: string;
}

interface Kernel {
  readonly name: string;
  readonly arch: string;
  readonly version: string;
  /** How many rules hold, of how many. */
  readonly score: { readonly holds: number; readonly waived: number; readonly rules: number };
  readonly rules: readonly Verdict[];
}

interface Result {
  readonly kernels: readonly Kernel[];
}

export class AuditKernel extends LktCommand {
  static override summary = 'Check how a kernel was made, and how it is started';
  static override description =
    "Judges a kernel's configuration by what the Kernel Self Protection Project and others recommend. Of an image config the command line and what is in /etc/sysctl.d of its root and of its onboot images are judged too. Exits with 1 when a rule does not hold that is not waived.";
  static override examples = [
    '<%= config.bin %> audit kernel examples/minimal.yml',
    '<%= config.bin %> audit kernel kernel/linux',
    {
      description: 'The machine this runs on.',
      command:
        'sysctl -a > sysctls; <%= config.bin %> audit kernel --cmdline /proc/cmdline --sysctl sysctls /proc/config.gz',
    },
  ];
  static override args = {
    target: Args.string({
      description:
        'a .config, a reference of the store, the directory of a package, or an image config',
      required: true,
      multiple: true,
    }),
  };
  static override flags = {
    ...auditFlags,
    all: Flags.boolean({ summary: 'show the rules that hold, too' }),
    cmdline: Flags.string({ summary: 'the command line it is started with', helpValue: 'FILE' }),
    sysctl: Flags.string({ summary: 'what "sysctl -a" prints on it', helpValue: 'FILE' }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(AuditKernel);
    const session = await this.begin(flags);
    const { auditKernel, waiveKernel } = await import('@lkt/audit');
    const { kernels: waivers } = await readWaivers(session, flags.waivers);
    const kernels: Kernel[] = [];
    for (const target of args.target) {
      const { name, image, facts } = await kernelOf(session, target, flags);
      const { arch = 'x86_64', version = '' } = facts.config ?? {};
      const rules: readonly Verdict[] = waiveKernel(auditKernel(facts), waivers, image);
      kernels.push({ name, arch, version, score: scoreOf(rules), rules });
    }
    this.endProgress();
    for (const kernel of kernels) this.#show(kernel, flags.all);
    requireAllWaived(kernels);
    return { kernels };
  }

  #show({ name, arch, version, score, rules }: Kernel, all: boolean): void {
    const { holds, waived } = score;
    const waivedToo = waived === 0 ? '' : `, ${waived} waived`;
    this.log(
      `${printable(name)}  ${arch} ${version}  ${holds} of ${score.rules} rules hold${waivedToo}`,
    );
    const shown = rules.filter((rule) => all || !rule.holds);
    for (const line of columns(shown.map(row))) this.log(`  ${line}`);
  }
}

function row({ id, holds, wanted, reason, waived }: Verdict): readonly string[] {
  if (holds) return ['ok', id, reason, wanted];
  return waived === undefined ? ['BAD', id, reason, wanted] : ['ok', id, `(waived) ${waived}`];
}

function scoreOf(rules: readonly Verdict[]): Kernel['score'] {
  return {
    holds: rules.filter(({ holds }) => holds).length,
    waived: rules.filter(({ waived }) => waived !== undefined).length,
    rules: rules.length,
  };
}

/** @throws LktError AUDIT_FAILED when something does not hold that is not waived */
function requireAllWaived(kernels: readonly Kernel[]): void {
  const bad = kernels.flatMap(({ rules }) =>
    rules.filter(({ holds, waived }) => !holds && waived === undefined),
  );
  const [first, ...more] = new Set(bad.map(({ id }) => id));
  if (first === undefined) return;
  throw new LktError(
    'AUDIT_FAILED',
    more.length === 0 ? `${first} does not hold` : `${more.length + 1} rules do not hold`,
    {
      fix: 'mend it, or say in .audit.yml why it is let pass',
      report: { kernels },
    },
  );
}
