import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { fleetFlags, leaseFlag } from '../../flags/fleet.ts';
import { Args } from '../../flags/options.ts';
import { openFleet } from '../../session/fleet.ts';

export class FleetRollback extends LktCommand {
  static override summary = 'Return a group to its earlier image';
  static override description =
    'Marks the image of the file as rolled back, at the nodes themselves. A running lkt fleet watch, or the next lkt fleet apply, then rolls to the earlier image, and keeps it until the file names another one.';
  static override examples = ['<%= config.bin %> fleet rollback web'];
  static override args = {
    group: Args.string({ description: 'name of the group', required: true }),
  };
  static override flags = { ...fleetFlags, ...leaseFlag };

  async run(): Promise<{ group: string; from: string; to: string }> {
    const { args, flags } = await this.parse(FleetRollback);
    const session = await this.begin(flags);
    const { earlierImage, specHash } = await import('@lkt/fleet');
    const { Observer } = await import('../../fleet/observe.ts');
    await using fleet = await openFleet(session, flags);
    const { specs } = await new Observer(fleet, session.signal).observe();
    const spec = specs.get(args.group);
    if (spec === undefined)
      throw new LktError('NOT_FOUND', `the fleet has no group ${args.group}`, {
        fix: `use one of: ${[...specs.keys()].join(', ')}`,
      });
    const name = fleet.config.groups.get(spec.name)?.provider ?? '';
    if (fleet.engines.has(name))
      throw new LktError(
        'UNSUPPORTED',
        `an engine keeps ${spec.name}, and rolls it back by itself`,
        {
          fix: 'write the digest of the earlier image into fleet.yml, and run lkt fleet apply',
        },
      );
    const own = (await fleet.nodes()).filter(({ node }) => node.labels.group === spec.name);
    const rejected = specHash(spec.image, spec.template);
    const nodes = own.map(({ node }) => node);
    const image = earlierImage(spec, rejected, nodes, undefined);
    if (image === undefined)
      throw new LktError('NOT_FOUND', `no node of ${spec.name} knows an earlier image`, {
        fix: 'write the digest of the earlier image into fleet.yml, and run lkt fleet apply',
      });
    const config = fleet.config.groups.get(args.group);
    if (config !== undefined) await fleet.openImage(config, image);
    const call = { generation: await fleet.lease.current(session.signal), signal: session.signal };
    for (const { node, provider } of own)
      if (node.power !== 'terminating')
        await provider.label(node.id, { ...node.labels, rejected }, call);
    this.endProgress();
    this.log(`${spec.name}: ${spec.image} → ${image}`);
    return { group: spec.name, from: spec.image, to: image };
  }
}
