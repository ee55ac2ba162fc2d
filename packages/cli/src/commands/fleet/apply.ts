import { LktCommand } from '../../command.ts';
import { fleetFlags, leaseFlag } from '../../flags/fleet.ts';
import { switchFlag, valueFlag } from '../../flags/options.ts';
import { timeLimitOf } from '../../flags/durations.ts';
import { type FleetReport, reportLines } from '../../fleet/report.ts';

export class FleetApply extends LktCommand {
  static override summary = 'Make the nodes of a fleet match its file';
  static override description = `Verifies the images, then creates, replaces and destroys nodes within the budgets, until all match, or only a pause holds the others back. It may be killed at any moment and started again, also on another machine. Prints events as JSON lines to standard error (docs/fleet.md).

Exits with 1 when a roll halts, because nodes of the wanted image fail; the healthy nodes stay, and other groups are finished first.`;
  static override examples = ['<%= config.bin %> fleet apply --file fleet.yml --timeout 10m'];
  static override flags = {
    ...fleetFlags,
    ...leaseFlag,
    once: switchFlag('make one pass, and end'),
    retry: switchFlag('forget rollbacks and failed nodes first'),
    timeout: valueFlag('DURATION', 'time limit, such as 90s or 10m'),
  };

  async run(): Promise<FleetReport> {
    const { flags } = await this.parse(FleetApply);
    const { once, retry, timeout } = flags;
    const timeoutMs = timeout === undefined ? undefined : timeLimitOf('--timeout', timeout);
    const session = await this.begin(flags);
    const { runController } = await import('../../fleet/run-controller.ts');
    this.endProgress();
    const report = await runController(session, flags, {
      once,
      retry,
      timeoutMs,
      write: (line) => process.stderr.write(`${line}\n`),
    });
    for (const line of reportLines(report)) this.log(line);
    return report;
  }
}
