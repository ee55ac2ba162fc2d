import { type Digest, isDigest, LktError } from '@lkt/core';
import type { ImageDiff } from '@lkt/inspect';
import { diffLines } from '../output/diff-report.ts';
import { printable } from '../output/printable.ts';
import { type FleetFlags, openFleet, type OpenFleet } from '../session/fleet.ts';
import type { Session } from '../session/session.ts';
import { Observer } from './observe.ts';
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
  /** How many nodes are too many. */
  readonly excess: number;
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
  await using fleet = await openFleet(session, flags);
  const { report, specs, pass } = await new Observer(fleet, session.signal).observe({
    hasImages: true,
  });
  const [away] = pass.unreachable.values();
  if (away !== undefined) throw away;
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
    const replaced = live.flatMap((node) => {
      const reason = reasonOf(node, group);
      return reason === undefined ? [] : [{ node: node.name, reason }];
    });
    const olds = new Set(live.map(({ image }) => image).filter((image) => image !== group.image));
    const images: GroupPlan['images'][number][] = [];
    for (const from of olds)
      if (isDigest(from))
        images.push({ from, diff: await diffOf(session, fleet, group.name, from, wanted.prefix) });
    groups.push({
      name: group.name,
      image: group.image,
      missing: Math.max(0, group.size - live.length - held.length),
      replaced,
      excess: Math.max(0, live.length - group.size),
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

function reasonOf(node: NodeReport, group: GroupReport): string | undefined {
  const { replacedFor, image, age, health, state } = node;
  if (state === 'sick') return `it was ready, and is ${health}`;
  if (state === 'failed') return 'it did not become ready in time';
  switch (replacedFor) {
    case undefined:
      return undefined;
    case 'image':
      return `its image is ${shortDigest(image)}, wanted is ${shortDigest(group.image)}`;
    case 'template':
      return 'its machine, metadata or volumes differ from the template';
    case 'expired':
      return `it is ${durationText(age)} old`;
    case 'requested':
      return 'the user asked for it';
    case 'excess':
      return 'its name is not one of the group';
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
    // A plan is about the nodes; an image that only firmware understands is no reason to fail.
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
    const { name, image, missing, replaced, excess, surge, unavailable, holds, images } = group;
    const changes = missing + replaced.length + excess;
    if (changes === 0 && holds.length === 0) return [`${name}: nothing to do`];
    const budget = surge > 0 ? `${surge} more at a time` : `${unavailable} less at a time`;
    return [
      `${name}: ${shortDigest(image)}, ${budget}`,
      ...(missing === 0 ? [] : [`  + ${missing} new`]),
      ...replaced.map(({ node, reason }) => `  ~ ${node}: ${reason}`),
      ...(excess === 0 ? [] : [`  - ${excess} beyond the size`]),
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
