import { type Digest, isDigest, LktError } from '@lkt/core';
import type { requireSameNode as RequireSameNode } from '@lkt/fleet';
import type { ImageDiff } from '@lkt/inspect';
import { diffLines } from '../output/diff-report.ts';
import { printable } from '../output/printable.ts';
import { type FleetFlags, openFleet, type OpenFleet, withLocation } from '../session/fleet.ts';
import type { Session } from '../session/session.ts';
import { type ObservedFleet, Observer } from './observe.ts';
import { durationText, type GroupReport, type NodeReport, shortDigest } from './report.ts';

/** The changes that `lkt fleet apply` would make. */
export interface FleetPlan {
  readonly fleet: string;
  readonly groups: readonly GroupPlan[];
  readonly orphans: readonly string[];
  /** Images that are removed from providers. */
  readonly unusedImages: readonly UnusedImagePlan[];
}

/** An image that nothing uses. */
interface UnusedImagePlan {
  readonly provider: string;
  /** The provider's name for it. */
  readonly id: string;
  readonly image: string;
  /** ISO 8601, UTC. */
  readonly created: string;
}

/** The changes of a group. */
interface GroupPlan {
  readonly name: string;
  readonly image: string;
  /** How many nodes are missing. */
  readonly missing: number;
  readonly replaced: readonly { readonly node: string; readonly reason: string }[];
  /** Nodes that no other replaces. */
  readonly removed: readonly { readonly node: string; readonly reason: string }[];
  readonly surge: number;
  readonly unavailable: number;
  readonly holds: readonly string[];
  /** Differences between each running image and the wanted one. */
  readonly images: readonly { readonly from: string; readonly diff: readonly string[] }[];
}

/** Maximum lines of the difference between two images; `lkt diff` shows all. */
const MAX_DIFF_LINES = 40;

/** Verifies the images of a fleet, and returns what would be done. */
export async function planFleet(session: Session, flags: FleetFlags): Promise<FleetPlan> {
  const { requirePrograms, requireSameNode } = await import('@lkt/fleet');
  await using fleet = await openFleet(session, flags);
  await requirePrograms(fleet.config, session.environment.variables['PATH'] ?? '');
  const observed = await new Observer(fleet, session.signal).observe({ hasImages: true });
  const { report, specs, pass } = observed;
  const [away] = pass.unreachable.values();
  if (away !== undefined) throw away;
  requireFreeNames(fleet, observed, requireSameNode);
  const groups: GroupPlan[] = [];
  for (const group of report.groups) {
    const config = fleet.config.groups.get(group.name);
    const spec = specs.get(group.name);
    if (config === undefined || spec === undefined) continue;
    const wanted = await fleet.openImage(config, config.image.digest);
    const live = group.nodes.filter(({ state }) => state !== 'terminating' && state !== 'held');
    // A fixed name has one node, also while it is held.
    const held =
      spec.names === undefined ? [] : group.nodes.filter(({ state }) => state === 'held');
    const ends = group.nodes.flatMap((node) => {
      const reason = reasonOf(node, group);
      return reason === undefined ? [] : [{ node: node.name, reason }];
    });
    const removed = removedNodes(group, live, spec.names);
    const replaced = ends.filter(({ node }) => !removed.has(node));
    const olds = new Set(live.map(({ image }) => image).filter((image) => image !== group.image));
    const images: GroupPlan['images'][number][] = [];
    for (const from of olds)
      if (isDigest(from))
        images.push({ from, diff: await diffOf(session, fleet, group.name, from, wanted.prefix) });
    groups.push({
      name: group.name,
      image: group.image,
      missing: Math.max(0, group.size - (live.length - removed.size) - held.length),
      replaced,
      removed: [...removed].map(([node, reason]) => ({ node, reason })),
      surge: spec.surge,
      unavailable: spec.unavailable,
      holds: group.holds,
      images,
    });
  }
  const unusedImages = (pass.unusedImages ?? []).map(({ provider, id, digest, created }) => ({
    provider,
    id,
    image: digest,
    created: new Date(created).toISOString(),
  }));
  return { fleet: report.fleet, groups, orphans: report.orphans, unusedImages };
}

/**
 * Returns the nodes that no other replaces, with the reason: those whose fixed name is not one of
 * the group, and those beyond the size. A roll ends with the old ones first, as `reconcile` does.
 */
function removedNodes(
  { size }: GroupReport,
  live: readonly NodeReport[],
  names: readonly string[] | undefined,
): ReadonlyMap<string, string> {
  const removed = new Map<string, string>();
  if (names !== undefined) {
    for (const { name } of live)
      if (!names.includes(name)) removed.set(name, 'its name is not one of the group');
    return removed;
  }
  const first = live.toSorted((a, b) => rank(a) - rank(b) || b.age - a.age);
  for (const { name } of first.slice(0, Math.max(0, live.length - size)))
    removed.set(name, 'beyond the size');
  return removed;
}

/** Orders nodes by how much their loss costs. */
function rank({ replacedFor, state }: NodeReport): number {
  return state !== 'ready' ? 0 : replacedFor === undefined ? 2 : 1;
}

/** @throws LktError at a group with the fixed name of a node that no controller of it destroys */
function requireFreeNames(
  { config }: OpenFleet,
  { pass, specs }: ObservedFleet,
  requireSame: typeof RequireSameNode,
): void {
  for (const { name, provider, labels } of pass.orphans)
    for (const group of config.groups.values()) {
      const isTaken = specs.get(group.name)?.names?.includes(name) === true;
      if (group.provider !== provider || !isTaken) continue;
      try {
        requireSame(name, labels, { ...labels, group: group.name }, false);
      } catch (error) {
        throw withLocation(group.at, error);
      }
    }
}

function reasonOf(node: NodeReport, group: GroupReport): string | undefined {
  const { replacedFor, image, age, health, attestation, state } = node;
  if (state === 'terminating') return undefined;
  if (state === 'sick' && attestation === 'rejected') return 'it was ready, and is rejected';
  if (state === 'sick')
    return `it was ready, and ${health === 'unknown' ? 'is off' : `is ${health}`}`;
  if (state === 'failed') return 'it did not become ready in time';
  switch (replacedFor) {
    case undefined:
      return undefined;
    case 'image':
      return `its image is ${shortDigest(image)}, wanted is ${shortDigest(group.image)}`;
    case 'template':
      return 'its machine, metadata, volumes or provider settings differ from the file';
    case 'expired':
      return `it is ${durationText(age)} old`;
    case 'requested':
      return 'the user asked for it';
    case 'rolled back':
      return 'its image was rolled back';
    default:
      return replacedFor;
  }
}

async function diffOf(
  session: Session,
  fleet: OpenFleet,
  name: string,
  from: Digest,
  wanted: string,
): Promise<readonly string[]> {
  const group = fleet.config.groups.get(name);
  const store = await session.findStore();
  if (group === undefined || store === undefined || !(await store.has(from)))
    return ['the earlier image is not in the store'];
  const before = await (await import('@lkt/fleet')).openMachineImage(store, from, fleet.imageDir);
  const { diffImages, viewBuild } = await import('@lkt/inspect');
  const platform = { os: 'linux', architecture: 'amd64' };
  const views = [await viewBuild(before.prefix, platform), await viewBuild(wanted, platform)];
  const [old, fresh] = views;
  if (old === undefined || fresh === undefined) return ['the images cannot be compared'];
  let diff: ImageDiff;
  try {
    diff = await diffImages(old, fresh, store, platform, session.signal);
  } catch (error) {
    // A plan needs no diff: an image that only firmware can read must not fail it.
    if (!(error instanceof LktError)) throw error;
    return [`the images cannot be compared: ${error.message}`];
  }
  const lines = diffLines(diff);
  const rest = lines.length - MAX_DIFF_LINES;
  return rest > 0 ? [...lines.slice(0, MAX_DIFF_LINES), `… ${rest} more lines`] : lines;
}

/** Returns a plan as lines. */
export function planLines({ groups, orphans, unusedImages }: FleetPlan): readonly string[] {
  const lines = groups.flatMap((group) => {
    const { name, image, missing, replaced, removed, surge, unavailable, holds, images } = group;
    const changes = missing + replaced.length + removed.length;
    if (changes === 0 && holds.length === 0) return [`${name}: nothing to do`];
    const budget = surge > 0 ? `${surge} more at a time` : `${unavailable} less at a time`;
    return [
      `${name}: ${shortDigest(image)}, ${budget}`,
      ...(missing === 0 ? [] : [`  + ${missing} new`]),
      ...replaced.map(({ node, reason }) => `  ~ ${node}: ${reason}`),
      ...removed.map(({ node, reason }) => `  - ${node}: ${reason}`),
      ...holds.map((hold) => `  held back: ${hold}`),
      ...images.flatMap(({ from, diff }) => [
        `  ${shortDigest(from)} → ${shortDigest(image)}`,
        ...diff.map((line) => `    ${line}`),
      ]),
    ];
  });
  return [
    ...lines,
    ...orphans.map((name) => `orphan ${name}: not touched`),
    ...unusedImages.map(
      ({ provider, id, image, created }) =>
        `${provider}: - image ${shortDigest(image)} of ${created.slice(0, 10)}, ${id}: unused`,
    ),
  ].map(printable);
}
