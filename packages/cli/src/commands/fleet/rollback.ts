import { type Digest, LktError } from '@lkt/core';
import type { Engine, GroupConfig } from '@lkt/fleet';
import { LktCommand } from '../../command.ts';
import type { Observer } from '../../fleet/observe.ts';
import { fleetFlags, leaseFlag } from '../../flags/fleet.ts';
import { Args } from '../../flags/options.ts';
import { openFleet, type OpenFleet } from '../../session/fleet.ts';

const NAME_IMAGE = 'write the digest of the earlier image into fleet.yml, and run lkt fleet apply';

export class FleetRollback extends LktCommand {
  static override summary = 'Return a group to its earlier image';
  static override description =
    'A running lkt fleet watch, or the next lkt fleet apply, rolls to the earlier image, and keeps it until the file names another one. Among the engines, only gcp and azure support it.';
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
    const observer = new Observer(fleet, session.signal);
    const { specs } = await observer.observe();
    const spec = specs.get(args.group);
    if (spec === undefined)
      throw new LktError('NOT_FOUND', `the fleet has no group ${args.group}`, {
        fix: `use one of: ${[...specs.keys()].join(', ')}`,
      });
    const config = fleet.config.groups.get(spec.name);
    const engine = fleet.engines.get(config?.provider ?? '');
    if (config !== undefined && engine !== undefined) {
      const image = await rollBackAt(engine, fleet, config, observer);
      this.endProgress();
      this.log(`${spec.name}: ${spec.image} → ${image}`);
      return { group: spec.name, from: spec.image, to: image };
    }
    const own = (await fleet.nodes()).filter(({ node }) => node.labels.group === spec.name);
    const rejected = specHash(spec.image, spec.template);
    const nodes = own.map(({ node }) => node);
    const image = earlierImage(spec, rejected, nodes, undefined);
    if (image === undefined)
      throw new LktError('NOT_FOUND', `no node of ${spec.name} knows an earlier image`, {
        fix: NAME_IMAGE,
      });
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

/**
 * Lets an engine return a group to its earlier image, and returns that.
 * @throws LktError UNSUPPORTED, NOT_FOUND
 */
async function rollBackAt(
  engine: Engine,
  { lease, signal }: OpenFleet,
  { name }: GroupConfig,
  observer: Observer,
): Promise<Digest> {
  if (engine.rollBack === undefined)
    throw new LktError('UNSUPPORTED', `the engine of ${name} rolls back only a roll that fails`, {
      fix: NAME_IMAGE,
    });
  const image = await observer.rollBackEngine(name, await lease.current(signal));
  if (image !== undefined) return image;
  throw new LktError('NOT_FOUND', `the engine of ${name} knows no earlier image`, {
    fix: NAME_IMAGE,
  });
}
