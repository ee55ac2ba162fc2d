import { LktCommand } from '../../command.ts';
import { fleetFileFlag, leaseFlag, nodeArg } from '../../flags/fleet.ts';
import { findEngineNode, findNode, openFleet } from '../../session/fleet.ts';

export class FleetReplace extends LktCommand {
  static override summary = 'Mark a node to be replaced';
  static override description =
    'A running lkt fleet watch, or the next lkt fleet apply, replaces it within the budget, also while no window is open.';
  static override examples = ['<%= config.bin %> fleet replace web-0'];
  static override args = nodeArg;
  static override flags = { ...fleetFileFlag, ...leaseFlag };

  async run(): Promise<{ node: string }> {
    const { args, flags } = await this.parse(FleetReplace);
    const session = await this.begin(flags);
    await using fleet = await openFleet(session, flags);
    const call = { generation: await fleet.lease.current(session.signal), signal: session.signal };
    const kept = await findEngineNode(fleet, args.node);
    if (kept !== undefined) {
      await kept.engine.replace(kept.group, args.node, call);
      this.log(`${args.node}: its engine replaces it`);
      return { node: args.node };
    }
    const { node, provider } = await findNode(fleet, args.node);
    await provider.label(node.id, { ...node.labels, replace: Date.now() }, call);
    this.log(`${node.name}: lkt fleet watch, or the next lkt fleet apply, replaces it`);
    return { node: node.name };
  }
}
