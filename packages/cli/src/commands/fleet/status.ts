import { LktCommand } from '../../command.ts';
import { fleetFlags } from '../../flags/fleet.ts';
import { type FleetReport, reportLines } from '../../fleet/report.ts';
import { openFleet } from '../../session/fleet.ts';

export class FleetStatus extends LktCommand {
  static override summary = 'Show the nodes of a fleet with their age, image and health';
  static override description =
    'Asks the providers, and checks each node once. Changes nothing, and needs no lease.';
  static override examples = ['<%= config.bin %> fleet status --json'];
  static override flags = fleetFlags;

  async run(): Promise<FleetReport> {
    const { flags } = await this.parse(FleetStatus);
    const session = await this.begin(flags);
    const { Observer } = await import('../../fleet/observe.ts');
    await using fleet = await openFleet(session, flags);
    const { report } = await new Observer(fleet, session.signal).observe();
    this.endProgress();
    for (const line of reportLines(report)) this.log(line);
    return report;
  }
}
