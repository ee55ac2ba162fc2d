import { LktCommand } from '../../command.ts';
import { fleetFlags, leaseFlag } from '../../flags/fleet.ts';
import { switchFlag } from '../../flags/options.ts';

export class FleetWatch extends LktCommand {
  static override summary = 'Keep the nodes of a fleet as its file describes them, until Ctrl-C';
  static override description =
    'As lkt fleet apply, without an end. Prints events as JSON lines to standard output. Start it again after a change of the file.';
  static override examples = ['<%= config.bin %> fleet watch'];
  static override flags = {
    ...fleetFlags,
    ...leaseFlag,
    standby: switchFlag('wait while another controller has the lease'),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(FleetWatch);
    const session = await this.begin(flags);
    const { runController } = await import('../../fleet/run-controller.ts');
    this.endProgress();
    return runController(session, flags, {
      isEndless: true,
      isStandby: flags.standby,
      write: (line) => this.log(line),
    });
  }
}
