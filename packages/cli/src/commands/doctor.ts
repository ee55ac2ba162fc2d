import { LktError } from '@lkt/core';
import { LktCommand } from '../command.ts';
import type { Finding } from '../doctor/check.ts';
import { columns } from '../output/lines.ts';
import { printable } from '../output/printable.ts';

interface Result {
  readonly checks: readonly Finding[];
}

export class Doctor extends LktCommand {
  static override summary = 'Check what this machine lacks for lkt';
  static override description = `Checks programs, KVM, namespaces, user ids, disk space, clock, runtime directory, proxies and logins, and prints how to fix what is wrong. Uses no network and changes nothing.

"warn" marks what only a part of lkt needs, "fail" what builds need. Exits with 1 if a check fails.`;
  static override examples = [
    '<%= config.bin %> doctor',
    { description: 'In scripts:', command: '<%= config.bin %> doctor --json' },
  ];

  async run(): Promise<Result> {
    const { flags } = await this.parse(Doctor);
    const session = await this.begin(flags);
    const { runChecks } = await import('../doctor/check.ts');
    const { programChecks } = await import('../doctor/programs.ts');
    const { machineChecks } = await import('../doctor/machine.ts');
    const { buildChecks } = await import('../doctor/builds.ts');
    const { clockCheck } = await import('../doctor/clock.ts');
    const { networkChecks } = await import('../doctor/network.ts');
    const all = [...programChecks, ...buildChecks, ...machineChecks, clockCheck, ...networkChecks];
    const checks = await runChecks(all, session);
    this.endProgress();
    const lines = columns(checks.map(({ state, name, text }) => [state, name, text]));
    for (const [at, { fix }] of checks.entries()) {
      this.log(printable(lines[at] ?? ''));
      if (fix !== undefined) this.log(`        fix: ${printable(this.asCalled(fix))}`);
    }
    const failed = checks.filter(({ state }) => state === 'fail');
    if (failed.length === 0) return { checks };
    throw new LktError(
      'HOST_UNSUPPORTED',
      `this machine fails: ${failed.map(({ name }) => name).join(', ')}`,
      { report: { checks } },
    );
  }
}
