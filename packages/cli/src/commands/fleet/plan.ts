import { LktCommand } from '../../command.ts';
import { fleetFlags } from '../../flags/fleet.ts';
import type { FleetPlan } from '../../fleet/plan.ts';

export class FleetPlanCommand extends LktCommand {
  static override summary = 'Show what lkt fleet apply would do, and why';
  static override description =
    'Verifies the wanted images, lists the nodes that would be created and replaced, each with its reason, and shows what differs between the images. Changes no node.';
  static override examples = ['<%= config.bin %> fleet plan --json'];
  static override flags = fleetFlags;

  async run(): Promise<FleetPlan> {
    const { flags } = await this.parse(FleetPlanCommand);
    const session = await this.begin(flags);
    const { planFleet, planLines } = await import('../../fleet/plan.ts');
    const plan = await planFleet(session, flags);
    this.endProgress();
    for (const line of planLines(plan)) this.log(line);
    return plan;
  }
}
