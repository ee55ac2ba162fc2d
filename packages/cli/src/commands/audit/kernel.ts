import { LktError } from '@lkt/core';
import type { KernelVerdict } from '@lkt/audit';
import { LktCommand } from '../../command.ts';
import { auditFlags } from '../../flags/audit.ts';
import { requiredArgs, switchFlag, valueFlag } from '../../flags/options.ts';
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
  /** The number of rules, of those that hold, and of those that are waived. */
  readonly score: { readonly holds: number; readonly waived: number; readonly rules: number };
  readonly rules: readonly Verdict[];
}

interface Result {
  readonly kernels: readonly Kernel[];
}

export class AuditKernel extends LktCommand {
  static override summary = 'Check how a kernel is configured and booted';
  static override description =
    "Compares a kernel's configuration with the recommendations of the Kernel Self Protection Project and others. For an image config, also checks the command line, and /etc/sysctl.d in its root and onboot images. Exits with 1 if a rule that is not waived does not hold.";
  static override examples = [
    '<%= config.bin %> audit kernel examples/minimal.yml',
    '<%= config.bin %> audit kernel kernel/linux',
    {
      description: 'This machine:',
      command:
        'sysctl -a > sysctls; <%= config.bin %> audit kernel --cmdline /proc/cmdline --sysctl sysctls /proc/config.gz',
    },
  ];
  static override args = {
    target: requiredArgs(
      'a .config, a reference in the store, a package directory, or an image config',
    ),
  };
  static override flags = {
    ...auditFlags,
    all: switchFlag('also show the rules that hold'),
    cmdline: valueFlag('FILE', 'kernel command line it boots with'),
    sysctl: valueFlag('FILE', 'output of "sysctl -a" on that kernel'),
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

/**
 * Throws unless every failing rule is waived.
 * @throws LktError AUDIT_FAILED
 */
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
      fix: 'correct it, or add a waiver with a reason to .audit.yml',
      report: { kernels },
    },
  );
}
