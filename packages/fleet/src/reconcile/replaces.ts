import type { DestroyReason } from '../provider.ts';
import { canaryRoom } from './canary.ts';
import { byAge, type ClassifiedNode } from './classify.ts';
import type { Action } from './decision.ts';
import { expiryOf } from './expiry.ts';
import type { Pass } from './pass.ts';

/** The destroy actions, and the reasons that hold back others. */
interface Replaces {
  readonly actions: readonly Action[];
  readonly holds: readonly string[];
}

/** Decides which nodes are drained and destroyed. */
export function replaceActions(pass: Pass): Replaces {
  const { group, size, failed, sick, stale, live, isHalted } = pass;
  const isBlamed = sick.length > Math.max(1, group.maxSick * size);
  const destroyed = new Map<ClassifiedNode, DestroyReason>();

  // Nodes that never served: nothing is lost with them.
  for (const one of stale)
    if (one.node.labels.ready === undefined && !one.isHealthy)
      destroyed.set(one, one.staleFor ?? 'excess');
  if (!isHalted) {
    const retried = oldest(failed);
    if (retried !== undefined) destroyed.set(retried, 'failed');
    for (const one of sick) if (one.isOff || !isBlamed) destroyed.set(one, 'unhealthy');
    const blamed = isBlamed ? staleThoughBlamed(pass) : undefined;
    if (blamed !== undefined) destroyed.set(blamed, 'unhealthy');
  }

  const left = destroyed.size === 0 ? live : live.filter((one) => !destroyed.has(one));
  const actions = [...destroyed].map(([{ node }, reason]): Action => destroy(node, reason));
  actions.push(...drainedActions(pass, left));
  const excess = excessActions(pass, left);
  actions.push(...excess);
  if (excess.length === 0 && failed.length === 0) actions.push(...rollActions(pass, left));
  const holds = [
    ...(isBlamed ? ['too many nodes are unhealthy (maxSick): the probe may be wrong'] : []),
    ...(canaryRoom(pass, left) === 0 ? ['the canary of the new image is not baked yet'] : []),
  ];
  return { actions, holds };
}

function destroy(node: ClassifiedNode['node'], reason: DestroyReason): Action {
  return { kind: 'destroy', node, reason };
}

/**
 * Returns a sick node that may be replaced even if the probe is to blame: a stale one, while every
 * node of the wanted spec is available. If the probe is wrong, no other follows, since the
 * replacement never becomes ready.
 */
function staleThoughBlamed({
  live,
  terminating,
  sick,
  size,
  surge,
}: Pass): ClassifiedNode | undefined {
  const own = live.filter(({ staleFor }) => staleFor === undefined);
  if (own.some(({ isAvailable }) => !isAvailable)) return undefined;
  if (own.length === 0 && live.length + terminating.length < size + surge) return undefined;
  return oldest(sick.filter(({ staleFor }) => staleFor !== undefined));
}

/** Returns the destroy actions of drained nodes that the budget still allows. */
function drainedActions(
  { group, size, now, observed, available, failed }: Pass,
  left: readonly ClassifiedNode[],
): readonly Action[] {
  if (failed.length > 0 || available < size - group.unavailable) return [];
  const actions: Action[] = [];
  for (const { node, staleFor } of left) {
    const { draining } = node.labels;
    if (draining === undefined || staleFor === undefined) continue;
    // A clock that ran backwards does not prolong a drain.
    const isOver = now - draining >= (group.drainTimeoutMs ?? 0) || now < draining;
    if (isOver || observed.drained.has(node.id)) actions.push(destroy(node, staleFor));
  }
  return actions;
}

/** Returns the actions that shrink a group to its size, unless a roll does. */
function excessActions(
  { stale, available, canRoll, size, isHalted }: Pass,
  listed: readonly ClassifiedNode[],
): readonly Action[] {
  // The failed nodes of a halt stay, since they are its record, also while nothing rolls.
  const left = isHalted && size > 0 ? listed.filter(({ hasFailed }) => !hasFailed) : listed;
  const count = left.length - size;
  if (count <= 0 || (stale.length > 0 && canRoll)) return [];
  let spare = available - size;
  const actions: Action[] = [];
  for (const one of left.toSorted((a, b) => usefulness(a) - usefulness(b) || byAge(a, b))) {
    if (actions.length === count) break;
    if (one.node.labels.draining !== undefined) continue;
    if (one.isAvailable || one.isHealthy) {
      if (spare <= 0) continue;
      spare -= 1;
    }
    actions.push(destroy(one.node, 'excess'));
  }
  return actions;
}

/** Orders nodes by how much their loss costs. */
function usefulness({ isAvailable, staleFor }: ClassifiedNode): number {
  return (isAvailable ? 2 : 0) + (staleFor === undefined ? 1 : 0);
}

/** Replaces stale nodes that serve, as many as the budget allows, the most urgent first. */
function rollActions(pass: Pass, left: readonly ClassifiedNode[]): readonly Action[] {
  const { group, size, available, surge, canRoll, stale } = pass;
  // With surge, only a ready node beyond the size takes the place of another.
  const needed = surge > 0 ? size : size - group.unavailable;
  const spare = available - needed;
  if (spare <= 0 || stale.length === 0) return [];
  const candidates = left.filter(
    ({ node, staleFor, isSick }) =>
      staleFor !== undefined &&
      !isSick &&
      node.labels.draining === undefined &&
      (canRoll || isUrgent(staleFor)),
  );
  const count = Math.min(spare, canaryRoom(pass, left) ?? Infinity);
  if (candidates.length === 0 || count <= 0) return [];
  const rank = ({ staleFor, node }: ClassifiedNode): number =>
    staleFor !== undefined && isUrgent(staleFor)
      ? 0
      : (expiryOf(group, node.name, node.labels.created) ?? node.labels.created);
  return candidates
    .toSorted((a, b) => rank(a) - rank(b) || byAge(a, b))
    .slice(0, count)
    .map(({ node, staleFor = 'image' }) =>
      group.drainTimeoutMs === undefined
        ? destroy(node, staleFor)
        : { kind: 'drain', node, reason: staleFor },
    );
}

/** Reports whether a replacement ignores windows and pauses. */
export function isUrgent(reason: DestroyReason): boolean {
  return reason === 'requested' || reason === 'rolled back';
}

function oldest(nodes: readonly ClassifiedNode[]): ClassifiedNode | undefined {
  return nodes.toSorted(byAge)[0];
}
