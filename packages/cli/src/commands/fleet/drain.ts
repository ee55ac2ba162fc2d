import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { fleetFileFlag, leaseFlag, nodeArg } from '../../flags/fleet.ts';
import { switchFlag } from '../../flags/options.ts';
import { findNode, openFleet } from '../../session/fleet.ts';

export class FleetDrain extends LktCommand {
  static override summary = 'Take a node out of service, and keep it';
  static override description =
    'Runs the drain of its group, and excludes the node from replacement; a group without fixed names gets another node meanwhile. lkt fleet replace destroys it, --undo returns it to service.';
  static override examples = ['<%= config.bin %> fleet drain web-0'];
  static override args = nodeArg;
  static override flags = {
    ...fleetFileFlag,
    ...leaseFlag,
    undo: switchFlag('return the node to service'),
  };

  async run(): Promise<{ node: string; held: boolean }> {
    const { args, flags } = await this.parse(FleetDrain);
    const session = await this.begin(flags);
    await using fleet = await openFleet(session, flags);
    const { node, provider } = await findNode(fleet, args.node);
    const call = { generation: await fleet.lease.current(session.signal), signal: session.signal };
    const { held: _, ...labels } = node.labels;
    await provider.label(node.id, flags.undo ? labels : { ...labels, held: true }, call);
    const drain = fleet.config.groups.get(node.labels.group)?.drain;
    if (!flags.undo && drain !== undefined) {
      const { drainNode } = await import('@lkt/fleet');
      const limit = AbortSignal.any([session.signal, AbortSignal.timeout(drain.timeout)]);
      await drainNode(node, drain, limit).catch((cause: unknown) => {
        session.signal.throwIfAborted();
        throw limit.aborted
          ? failed(node.name, `did not end within ${drain.timeout / 1000} s`)
          : failed(node.name, 'failed', cause);
      });
    }
    this.log(
      flags.undo
        ? `${node.name}: in service`
        : `${node.name}: out of service, until lkt fleet drain --undo ${node.name}`,
    );
    return { node: node.name, held: !flags.undo };
  }
}

function failed(node: string, how: string, cause?: unknown): LktError {
  return new LktError('RUN_FAILED', `${node} is out of service, but its drain ${how}`, {
    ...(cause === undefined ? {} : { cause }),
    fix: `drain it again, or return it to service: lkt fleet drain --undo ${node}`,
  });
}
