import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { fleetFlags } from '../../flags/fleet.ts';
import { type FleetReport, reportLines } from '../../fleet/report.ts';
import { htmlFlag, writePage } from '../../output/html-file.ts';
import { openFleet } from '../../session/fleet.ts';

export class FleetStatus extends LktCommand {
  static override summary = 'Show the nodes of a fleet with their age, image and health';
  static override description =
    'Asks the providers, and checks each node once. Changes nothing, and needs no lease. If a provider does not answer, shows the others, and fails.';
  static override examples = ['<%= config.bin %> fleet status --json'];
  static override flags = { ...fleetFlags, ...htmlFlag };

  async run(): Promise<FleetReport> {
    const { flags } = await this.parse(FleetStatus);
    const session = await this.begin(flags);
    const { Observer } = await import('../../fleet/observe.ts');
    await using fleet = await openFleet(session, flags);
    const { report, pass } = await new Observer(fleet, session.signal).observe();
    const lines =
      flags.html === undefined
        ? reportLines(report)
        : await writePage(
            flags.html,
            { cwd: session.environment.cwd, json: this.jsonEnabled() },
            async () => {
              const { statusPage } = await import('../../fleet/status-page.ts');
              return statusPage(report, new Date());
            },
          );
    this.endProgress();
    for (const line of lines) this.log(line);
    const [error] = pass.unreachable.values();
    if (error === undefined) return report;
    const { code, message, cause, fix } = error;
    throw new LktError(code, message, { cause, fix, report });
  }
}
