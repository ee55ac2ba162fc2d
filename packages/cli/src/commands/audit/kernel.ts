import type { KernelReport, WaivedVerdict } from '@lkt/audit';
import { LktCommand } from '../../command.ts';
import { auditFlags } from '../../flags/audit.ts';
import { requiredArgs, switchFlag, valueFlag } from '../../flags/options.ts';
import { columns } from '../../output/lines.ts';
import { printable } from '../../output/printable.ts';
import { kernelOf } from '../../targets/kernel.ts';
import { readWaivers } from '../../targets/waivers.ts';

export class AuditKernel extends LktCommand {
  static override summary = 'Check how a kernel is configured and booted';
  static override description =
    'Compares its configuration with the recommendations of the Kernel Self Protection Project and others; for an image config, also the command line, and /etc/sysctl.d in its root and onboot images. Exits with 1 if a rule without waiver does not hold.';
  static override examples = [
    '<%= config.bin %> audit kernel examples/minimal.yml',
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
    cmdline: valueFlag('FILE', 'kernel command line'),
    sysctl: valueFlag('FILE', 'output of "sysctl -a" on that kernel'),
  };

  async run(): Promise<{ kernels: readonly KernelReport[] }> {
    const { args, flags } = await this.parse(AuditKernel);
    const session = await this.begin(flags);
    const { reportKernel, requireKernelRules } = await import('@lkt/audit');
    const { kernels: waivers } = await readWaivers(session, flags.waivers);
    const kernels: KernelReport[] = [];
    for (const target of args.target)
      kernels.push(reportKernel(await kernelOf(session, target, flags), waivers));
    this.endProgress();
    for (const kernel of kernels) this.#show(kernel, flags.all);
    requireKernelRules(kernels);
    return { kernels };
  }

  #show({ name, arch, version, score, rules }: KernelReport, all: boolean): void {
    const { holds, waived } = score;
    const waivedToo = waived === 0 ? '' : `, ${waived} waived`;
    this.log(
      `${printable(name)}  ${arch} ${version}  ${holds} of ${score.rules} rules hold${waivedToo}`,
    );
    const shown = rules.filter((rule) => all || !rule.holds);
    for (const line of columns(shown.map(row))) this.log(`  ${line}`);
  }
}

function row({ id, holds, wanted, reason, waived }: WaivedVerdict): readonly string[] {
  if (holds) return ['ok', id, reason, wanted];
  return waived === undefined ? ['BAD', id, reason, wanted] : ['ok', id, `(waived) ${waived}`];
}
