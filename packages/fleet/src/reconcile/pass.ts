import type { Node } from '../node.ts';
import { type ClassifiedNode, classify } from './classify.ts';
import type { Observation } from './decision.ts';
import type { GroupSpec } from './group-spec.ts';
import { type Target, targetOf } from './target.ts';
import { isOpen } from './windows.ts';

/** The classified nodes of a group in one pass, and what the pass may do. */
export interface Pass {
  readonly group: GroupSpec;
  readonly target: Target;
  readonly observed: Observation;
  readonly now: number;
  /** Nodes that are neither terminating nor held. */
  readonly live: readonly ClassifiedNode[];
  readonly terminating: readonly Node[];
  /** Nodes that the user took out of service; they do not count as part of the group. */
  readonly held: readonly Node[];
  readonly failed: readonly ClassifiedNode[];
  readonly sick: readonly ClassifiedNode[];
  readonly stale: readonly ClassifiedNode[];
  /** Live nodes that are available. */
  readonly available: number;
  /** Live nodes that are available, and as wanted. */
  readonly current: number;
  /** Nodes that are wanted beside the held ones. */
  readonly size: number;
  /** Surge of this pass: none with fixed names, and none while the provider has no room. */
  readonly surge: number;
  readonly isHalted: boolean;
  /** A live node has reached the maximum age. */
  readonly hasExpired: boolean;
  /** Nodes may be replaced for their image, template or age. */
  readonly canRoll: boolean;
  readonly holds: readonly string[];
}

/** Classifies the nodes of a group, and decides what the pass may do. */
export function passOf(group: GroupSpec, observed: Observation, now: number): Pass {
  const target = targetOf(group, observed);
  const names = group.names && new Set(group.names);
  const live: ClassifiedNode[] = [];
  const terminating: Node[] = [];
  const held: Node[] = [];
  const failed: ClassifiedNode[] = [];
  const sick: ClassifiedNode[] = [];
  const stale: ClassifiedNode[] = [];
  let available = 0;
  let current = 0;
  let proven = 0;
  let isShortLived = false;
  let hasExpired = false;
  for (const node of observed.nodes) {
    if (node.power === 'terminating') {
      terminating.push(node);
      continue;
    }
    if (node.labels.held === true) {
      held.push(node);
      continue;
    }
    const one = classify(group, target, observed, node, now, names);
    live.push(one);
    if (one.isAvailable) available += 1;
    if (one.isAvailable && one.staleFor === undefined) current += 1;
    if (one.isSick) sick.push(one);
    hasExpired ||= one.isExpired;
    isShortLived ||= expiredInBoot(group, one);
    if (one.staleFor !== undefined) stale.push(one);
    // A failed node never becomes stale by age: that would end the halt that it records.
    else if (one.hasFailed) failed.push(one);
    else if (one.isAvailable) proven += 1;
  }
  // Once most nodes run the spec, the image works, so failed nodes are retried for ever.
  const size = group.size - (names === undefined ? 0 : held.length);
  const isProven = proven * 2 > size;
  const isHalted = !isProven && failed.some(({ node }) => node.labels.attempt >= group.retries);
  const open = isOpen(group.windows, now);
  const surge = names !== undefined || observed.isShort ? 0 : group.surge;
  const why = [
    ...(isHalted ? ['a node of the wanted image failed, and so did its retries'] : []),
    ...(isHalted && hasExpired ? ['nodes are older than expire.after'] : []),
    ...(!isHalted && failed.length > 0 ? ['a node of the wanted image failed'] : []),
    ...(isShortLived ? ['a node took longer to boot than it may live (expire.after)'] : []),
    ...[...(observed.taken ?? [])].map(([name, other]) => `${name} is still a node of ${other}`),
    ...(stale.length > 0 && group.isPaused ? ['the group is paused'] : []),
    ...(stale.length > 0 && !open ? ['no window for replacements is open'] : []),
  ];
  const lists = { live, terminating, held, failed, sick, stale };
  const canRoll = open && !group.isPaused;
  const limits = { available, current, size, surge, isHalted, hasExpired, canRoll };
  return { group, target, observed, now, ...lists, ...limits, holds: why };
}

/** Reports whether a node is to be replaced for its age, and had it before it was ready. */
export function expiredInBoot(
  { expireAfterMs = Infinity }: GroupSpec,
  { node: { labels }, staleFor }: ClassifiedNode,
): boolean {
  const { created, ready = created } = labels;
  return staleFor === 'expired' && ready - created >= expireAfterMs;
}
