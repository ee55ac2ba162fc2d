import type { ClassifiedNode, FleetPass, GroupPass, GroupSpec } from '@lkt/fleet';
import { expiryOf } from '@lkt/fleet/expiry';
import { nodeProblem } from '@lkt/fleet/node-problem';
import { columns } from '../output/lines.ts';
import { printable } from '../output/printable.ts';

/** A node in a report. */
export interface NodeReport {
  readonly name: string;
  readonly group: string;
  readonly image: string;
  readonly state: 'held' | 'draining' | 'ready' | 'starting' | 'failed' | 'sick' | 'terminating';
  readonly health: string;
  /** Why it does not count as healthy. */
  readonly problem?: string;
  /** Missing if nothing attests nodes. */
  readonly attestation?: string;
  /** In seconds. */
  readonly age: number;
  /** Seconds until it expires; negative once it has; undefined: never. */
  readonly expiresIn?: number;
  /** The reason for its replacement. */
  readonly replacedFor?: string;
  /** Where its ports are reachable. */
  readonly endpoints: Readonly<Record<string, string>>;
}

/** A group in a report. */
export interface GroupReport {
  readonly name: string;
  readonly size: number;
  readonly available: number;
  readonly current: number;
  readonly stale: number;
  readonly image: string;
  readonly isConverged: boolean;
  readonly isHalted: boolean;
  readonly isRolledBack: boolean;
  readonly isPaused: boolean;
  readonly holds: readonly string[];
  readonly nodes: readonly NodeReport[];
}

/** The state of a fleet, for people and programs. */
export interface FleetReport {
  readonly fleet: string;
  readonly isConverged: boolean;
  readonly groups: readonly GroupReport[];
  /** Names of nodes, and of groups of engines, whose group is not in the file. */
  readonly orphans: readonly string[];
  /** Volumes without a node in the file, which stay. */
  readonly orphanVolumes: readonly string[];
  /** Why providers do not answer, by their names; groups at them are missing. */
  readonly unreachable: Readonly<Record<string, string>>;
}

/** Returns the report of a pass. */
export function fleetReport(
  fleet: string,
  specs: ReadonlyMap<string, GroupSpec>,
  { groups, orphans, unreachable, orphanGroups = [], orphanVolumes = [] }: FleetPass,
  now: number,
): FleetReport {
  const reports = [...groups].map(([name, pass]) => groupReport(name, specs.get(name), pass, now));
  return {
    fleet,
    isConverged: unreachable.size === 0 && reports.every(({ isConverged }) => isConverged),
    groups: reports,
    orphans: [...orphans.map(({ name }) => name), ...orphanGroups],
    orphanVolumes,
    unreachable: Object.fromEntries([...unreachable].map(([name, { message }]) => [name, message])),
  };
}

function groupReport(
  name: string,
  spec: GroupSpec | undefined,
  { decision, nodes, health }: GroupPass,
  now: number,
): GroupReport {
  const { size, available, current, stale, image } = decision.status;
  const { isConverged, isHalted, isRolledBack, isPaused, holds } = decision.status;
  const classified = new Map(decision.live.map((one) => [one.node.id, one]));
  return {
    name,
    size,
    available,
    current,
    stale,
    image,
    isConverged,
    isHalted,
    isRolledBack,
    isPaused,
    holds,
    nodes: nodes
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((node): NodeReport => {
        const { labels, attestation, power } = node;
        const one = classified.get(node.id);
        const problem = power === 'terminating' ? undefined : nodeProblem(node, health);
        const expiresAt = spec && expiryOf(spec, node.name, labels.created);
        return {
          name: node.name,
          group: name,
          image: labels.image,
          state: stateOf(one, node),
          health: health.get(node.id)?.health ?? 'unknown',
          ...(problem === undefined ? {} : { problem }),
          ...(attestation === undefined ? {} : { attestation }),
          age: Math.max(0, seconds(now - labels.created)),
          ...(expiresAt === undefined ? {} : { expiresIn: seconds(expiresAt - now) }),
          ...replacementOf(one, node),
          endpoints: Object.fromEntries(
            [...node.published].map(([port, to]) => [String(port), `${to.host}:${to.port}`]),
          ),
        };
      }),
  };
}

/** Returns why a node is to be replaced, also one that is held, which only a user replaces. */
function replacementOf(
  one: ClassifiedNode | undefined,
  { labels: { held, replace } }: GroupPass['nodes'][number],
): Pick<NodeReport, 'replacedFor'> {
  if (held === true) return replace === undefined ? {} : { replacedFor: 'requested' };
  return one?.staleFor === undefined ? {} : { replacedFor: one.staleFor };
}

function stateOf(
  one: ClassifiedNode | undefined,
  { power, labels }: GroupPass['nodes'][number],
): NodeReport['state'] {
  if (power === 'terminating') return 'terminating';
  if (labels.held === true) return 'held';
  if (one?.hasFailed === true) return 'failed';
  if (one?.isSick === true) return 'sick';
  if (labels.draining !== undefined) return 'draining';
  return labels.ready === undefined ? 'starting' : 'ready';
}

/** Returns a report as lines. */
export function reportLines({
  groups,
  orphans,
  orphanVolumes,
  unreachable,
}: FleetReport): readonly string[] {
  const lines = groups.flatMap((group) => [
    groupLine(group),
    ...columns(group.nodes.map((node) => [`  ${node.name}`, ...nodeWords(node)])),
    ...group.holds.map((hold) => `  held back: ${hold}`),
  ]);
  const orphan = orphans.map((name) => `orphan ${name}: its group is not in the file`);
  const volumes = orphanVolumes.map((name) => `volume ${name}: the file wants no node with it`);
  const away = Object.entries(unreachable).map(
    ([name, message]) => `provider ${name} does not answer: ${message}`,
  );
  return [...lines, ...orphan, ...volumes, ...away].map(printable);
}

function groupLine(group: GroupReport): string {
  const { name, size, available, image } = group;
  return `${name}: ${available} of ${size} available, ${groupState(group)}, ${shortDigest(image)}`;
}

/** Returns the state of a group in a word or two. */
export function groupState(group: GroupReport): string {
  const { isHalted, isRolledBack, isPaused, isConverged } = group;
  if (isHalted) return 'halted';
  if (isRolledBack) return 'rolled back';
  if (isPaused) return 'paused';
  return isConverged ? 'converged' : 'changing';
}

function nodeWords(node: NodeReport): readonly string[] {
  const { state, image, age, expiresIn, replacedFor, endpoints, problem = '' } = node;
  const life = expiresIn === undefined ? '' : ` of ${durationText(Math.max(0, age + expiresIn))}`;
  const ports = Object.entries(endpoints).map(([port, to]) => `${port}→${to}`);
  return [
    state,
    healthText(node),
    shortDigest(image),
    `age ${durationText(age)}${life}`,
    ports.join(' '),
    replacedFor === undefined ? '' : `replaced for: ${replacedFor}`,
    problem,
  ];
}

/** Returns the health of a node, and the result of its attestation if it has one. */
export function healthText({ health, attestation }: NodeReport): string {
  return attestation === undefined ? health : `${health}, ${attestation}`;
}

/** Returns the beginning of a digest, enough to tell images apart. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

/** Returns seconds as text, in its two largest units: `3d4h`, `5m10s`. */
export function durationText(duration: number): string {
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
    [1, 's'],
  ] as const;
  let rest = Math.round(duration);
  const parts: string[] = [];
  for (const [unit, name] of units) {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    if (count > 0 && parts.length < 2) parts.push(`${count}${name}`);
    else if (parts.length === 1) break;
  }
  return parts.length === 0 ? '0s' : parts.join('');
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 1000);
}
