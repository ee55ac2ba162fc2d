import type { YamlValue } from '@lkt/core';
import { MAX_NAME_CHARS, NAME } from '../node-labels.ts';
import type { MachineTemplate } from '../provider.ts';
import { type GroupSpec, templateHash } from '../reconcile/group-spec.ts';
import { freeNameLength } from '../reconcile/creates.ts';
import { longestClosed } from '../reconcile/windows.ts';
import type { FleetConfig, GroupConfig } from './fleet-yml.ts';
import { nodesOf } from './values.ts';

const DEFAULT_ROLL = { startupTimeout: 600_000, minReady: 0, retries: 1, rollback: 'off' } as const;
const MEBIBYTE = 1024 * 1024;

/** The template of a group that has none. */
const DEFAULT_TEMPLATE = {
  cpus: 1,
  memory: 512 * MEBIBYTE,
  publish: [] as readonly number[],
  volumes: new Map<string, number>() as ReadonlyMap<string, number>,
  metadata: undefined,
} as const;

/** Returns the machines of a group, without their volumes, which differ by slot. */
export function machineOf(group: GroupConfig): Omit<MachineTemplate, 'volumes'> {
  const { cpus, memory, publish } = group.template ?? DEFAULT_TEMPLATE;
  const check = group.health?.check;
  const probed = check === undefined || check.kind === 'console' ? [] : [check.port];
  const drained = group.drain?.http === undefined ? [] : [group.drain.http.port];
  // lkt must reach the ports that it probes.
  const ports = [...new Set([...publish, ...probed, ...drained])];
  return { cpus, memory: memory / MEBIBYTE, publish: ports };
}

/** Returns the volumes of a slot. */
export function volumesOf(
  fleet: FleetConfig,
  group: GroupConfig,
  slot: number,
): MachineTemplate['volumes'] {
  const { volumes } = group.template ?? DEFAULT_TEMPLATE;
  return [...volumes].map(([name, size]) => ({
    name: volumeName(fleet.name, group.name, slot, name),
    size,
  }));
}

/** Returns the name of a volume. Its parts have no dot, so no other fleet or group has the same. */
export function volumeName(fleet: string, group: string, slot: number, name: string): string {
  return [fleet, group, slot, name].join('.');
}

/**
 * Returns the desired state of a group.
 * @param machines the machines of its provider, where none can be created
 * @throws CONFIG_INVALID at a budget that can never be met, or at names that do not fit
 */
export function groupSpecOf(
  fleet: FleetConfig,
  group: GroupConfig,
  machines: readonly string[] | undefined,
): GroupSpec {
  const { expire, template = DEFAULT_TEMPLATE, drain, at } = group;
  const names = namesOf(group, machines);
  const size = names?.length ?? group.size ?? 1;
  const isFixed = names !== undefined;
  const given = group.roll;
  const roll = given ?? DEFAULT_ROLL;
  const surge = nodesOf(given?.surge ?? (isFixed || (given?.unavailable ?? 0) !== 0 ? 0 : 1), size);
  const unavailable = nodesOf(given?.unavailable ?? (surge === 0 ? 1 : 0), size);
  const rollAt = placeOf(at, 'roll') ?? at;
  if (isFixed && surge > 0)
    throw rollAt.error('a group with volumes or named nodes cannot have surge', {
      fix: 'remove "surge": a volume belongs to one node at a time',
    });
  if (size > 0 && surge === 0 && unavailable === 0)
    throw rollAt.error('with neither surge nor unavailable nodes, no node can ever be replaced', {
      fix: 'set surge: 1, or unavailable: 1',
    });
  if (size > 0 && unavailable > size)
    throw rollAt.error(`${unavailable} unavailable nodes are more than the ${size} of the group`, {
      fix: `write unavailable: ${size} at most, or a percentage`,
    });
  if (expire !== undefined) requireTime(group, { size, step: Math.max(surge, unavailable) });
  const { volumes, metadata } = template;
  return {
    fleet: fleet.name,
    name: group.name,
    image: group.image.digest,
    template: templateHash({
      ...machineOf(group),
      volumes: [...volumes],
      metadata: metadata?.plain(),
      settings: group.settings,
      ...providerShape(fleet, group),
    }),
    size,
    ...(names === undefined ? {} : { names }),
    surge,
    unavailable,
    windows: group.windows,
    startupTimeoutMs: roll.startupTimeout,
    minReadyMs: roll.minReady,
    retries: roll.retries,
    ...(expire === undefined ? {} : { expireAfterMs: expire.after }),
    jitter: expire?.jitter ?? 0,
    maxSick: group.maxSick,
    ...(given?.canary === undefined
      ? {}
      : { canary: { nodes: given.canary.nodes, bakeMs: given.canary.bake } }),
    ...(drain === undefined ? {} : { drainTimeoutMs: drain.timeout }),
    rollback: roll.rollback,
    isPaused: given?.paused ?? false,
  };
}

/** Returns the settings of the group's provider that a node has; nothing while all are defaults. */
function providerShape(
  { providers }: FleetConfig,
  { provider }: GroupConfig,
): { readonly provider?: Readonly<Record<string, unknown>> } {
  const { kind, settings } = providers.get(provider) ?? {};
  const all = kind !== undefined && 'shape' in kind ? (kind.shape?.(settings) ?? {}) : {};
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return given.length === 0 ? {} : { provider: Object.fromEntries(given) };
}

/** Returns the fixed names of nodes, from the file or from slots; undefined if none are fixed. */
function namesOf(
  group: GroupConfig,
  machines: readonly string[] | undefined,
): readonly string[] | undefined {
  const { nodes, size, at, template = DEFAULT_TEMPLATE } = group;
  const nodesAt = placeOf(at, 'nodes') ?? at;
  if ((nodes === undefined) === (size === undefined))
    throw at.error('give either size or nodes', {
      fix: 'write size: NUMBER, or nodes: [NAME] for nodes with fixed names',
    });
  if (nodes !== undefined) {
    if (new Set(nodes).size < nodes.length)
      throw nodesAt.error('a name occurs twice', { fix: 'give each node a name of its own' });
    for (const name of nodes) {
      if (!NAME.test(name))
        throw nodesAt.error(`"${name}" is not a valid node name`, {
          fix: 'use lower-case letters, digits and "-", 40 at most, and begin with a letter',
        });
      if (machines !== undefined && !machines.includes(name))
        throw nodesAt.error(`the provider has no machine "${name}"`, {
          fix: `use some of: ${machines.join(', ')}`,
        });
    }
    return nodes;
  }
  if (machines !== undefined)
    throw at.error('a group of this provider names its machines', {
      fix: `list them: nodes: [${machines.slice(0, 3).join(', ')}]`,
    });
  if (template.volumes.size === 0) return undefined;
  return Array.from({ length: size ?? 0 }, (_, slot) => `${group.name}-${slot}`);
}

/**
 * Rejects node names that are too long, or that two groups share.
 * @param specs the groups whose nodes lkt names
 * @throws CONFIG_INVALID
 */
export function requireNodeNames(fleet: FleetConfig, specs: ReadonlyMap<string, GroupSpec>): void {
  const groupOf = new Map<string, string>();
  for (const [name, { names, size, surge }] of specs) {
    const at = fleet.groups.get(name)?.at;
    if (at === undefined) continue;
    const longest = names?.toSorted((a, b) => b.length - a.length)[0] ?? '';
    const length = names === undefined ? freeNameLength(name, size + surge) : longest.length;
    if (length > MAX_NAME_CHARS)
      throw at.error(`node names of "${name}" would have ${length} characters`, {
        fix: `shorten the name of the group by ${length - MAX_NAME_CHARS}`,
      });
    for (const node of names ?? []) {
      const other = groupOf.get(node);
      if (other !== undefined)
        throw (placeOf(at, 'nodes') ?? at).error(
          `the groups ${other} and ${name} both have a node ${node}`,
          { fix: 'choose names that are unique in the fleet' },
        );
      groupOf.set(node, name);
    }
  }
}

/** Rejects a maximum age that no roll can meet, even if nodes boot at once. */
function requireTime(
  { expire, roll: given, windows, at }: GroupConfig,
  { size, step }: { readonly size: number; readonly step: number },
): void {
  const roll = given ?? DEFAULT_ROLL;
  const { after = Infinity, jitter = 0 } = expire ?? {};
  const expireAt = placeOf(at, 'expire') ?? at;
  if (after * (1 - jitter) <= roll.minReady + BOOT_MS)
    throw expireAt.error('nodes would expire before they are ready', {
      fix: 'raise "after": a boot takes ten seconds at least, and then "minReady"',
    });
  const rounds = Math.ceil(size / Math.max(1, step));
  if (rounds * (roll.minReady + BOOT_MS) > after)
    throw expireAt.error(
      `replacing ${size} nodes, ${step} at a time, takes longer than a node may live`,
      { fix: 'raise "after", surge or unavailable' },
    );
  const closed = longestClosed(windows);
  if (closed >= after)
    throw (placeOf(at, 'windows') ?? at).error(
      `no window is open for ${Math.round(closed / HOUR_MS)} hours, longer than a node may live`,
      { fix: 'add a window, or raise "after" of expire' },
    );
}

/** Minimum time of a boot. */
const BOOT_MS = 10_000;
const HOUR_MS = 3_600_000;

function placeOf(at: YamlValue, key: string): YamlValue | undefined {
  return at.entries().get(key);
}
