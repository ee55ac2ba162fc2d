import type { Node } from '../node.ts';
import { SPEC_VERSION } from '../node-labels.ts';
import { byAge } from './classify.ts';
import { createActions } from './creates.ts';
import type { Action, Decision, Observation } from './decision.ts';
import type { GroupSpec } from './group-spec.ts';
import { type Pass, passOf } from './pass.ts';
import { replaceActions } from './replaces.ts';
import { earlierImage } from './target.ts';
import { nextChange } from './windows.ts';

/**
 * Decides what to do with the nodes of one group. Has no state and no effect: equal arguments give
 * equal decisions, in any order of the nodes, and a controller may die after any of the actions.
 *
 * - Actions never make fewer than `size - unavailable` nodes available.
 * - A healthy node is destroyed only once a ready node beyond `size` takes its place; without
 *   surge, within the budget. None is while a node of the wanted spec has failed.
 * - At most `size + surge` nodes are listed.
 */
export function reconcile(group: GroupSpec, observed: Observation, now: number): Decision {
  const pass = passOf(group, observed, now);
  const rollback = rollbackActions(pass);
  const replaced = rollback.length > 0 ? { actions: [], holds: [] } : replaceActions(pass);
  const creates = rollback.length > 0 ? [] : createActions(pass, replaced.actions);
  const actions = [
    ...upkeepActions(pass),
    ...heldActions(pass),
    ...rollback,
    ...replaced.actions,
    ...creates,
  ];
  const { live, terminating, stale, failed, sick, available, current, size } = pass;
  const holds = [...pass.holds, ...replaced.holds];
  const isConverged =
    actions.length === 0 && current === size && live.length === size && terminating.length === 0;
  // Held nodes are as the user wants them.
  const isWhole = available === size && live.length === size && terminating.length === 0;
  return {
    actions: onePerNode(actions),
    status: {
      size: group.size,
      listed: observed.nodes.length,
      available,
      current,
      stale: stale.length,
      failed: failed.length,
      sick: sick.length,
      image: pass.target.image,
      isRolledBack: pass.target.rejected !== undefined,
      isHalted: pass.isHalted,
      isPaused: group.isPaused && stale.length > 0 && isWhole && actions.length === 0,
      isConverged,
      holds,
    },
    live,
    nextAt: nextTime(pass, creates.length > 0),
  };
}

/** Returns the actions that update labels or finish a termination; they disturb no other node. */
function upkeepActions(pass: Pass): readonly Action[] {
  const { group, target, live, terminating, isHalted } = pass;
  const needed = neededDrains(pass);
  const { rejected } = target;
  const actions: Action[] = terminating.map((node) => ({ kind: 'finish', node }));
  // A loop, because nearly all nodes need nothing in nearly all passes.
  for (const { node, staleFor, becomesReady } of live) {
    const { labels } = node;
    const isNeeded = staleFor === undefined || isHalted || needed.has(node);
    const isUnlike = labels.specVersion !== SPEC_VERSION || labels.spec !== target.spec;
    if (becomesReady) actions.push({ kind: 'ready', node });
    else if (labels.draining !== undefined && isNeeded) actions.push({ kind: 'undrain', node });
    else if (isUnlike && labels.image === target.image && labels.template === group.template)
      actions.push({ kind: 'rehash', node, spec: target.spec });
    // All nodes carry the mark, so that it survives any of them.
    else if (rejected !== undefined && labels.spec !== rejected && labels.rejected !== rejected)
      actions.push({ kind: 'reject', node, rejected });
  }
  return actions;
}

/**
 * Returns draining nodes that must serve again, since the budget no longer allows their drains.
 */
function neededDrains({ group, size, available, live }: Pass): ReadonlySet<Node> {
  const lacking = size - group.unavailable - available;
  if (lacking <= 0) return new Set();
  const healthy = live.filter(
    ({ node, isHealthy }) => isHealthy && node.labels.draining !== undefined,
  );
  return new Set(
    healthy
      .toSorted(byAge)
      .slice(-lacking)
      .map(({ node }) => node),
  );
}

/** Destroys held nodes that the user asked to replace. */
function heldActions({ held }: Pass): readonly Action[] {
  return held.flatMap((node): readonly Action[] =>
    node.labels.replace === undefined ? [] : [{ kind: 'destroy', node, reason: 'requested' }],
  );
}

/**
 * Returns the marks that begin a rollback, if the roll has halted and may be rolled back. A halt
 * ends when a node expires, since only an image that boots can replace it.
 */
function rollbackActions(pass: Pass): readonly Action[] {
  const { group, target, live, isHalted, hasExpired, canRoll, observed } = pass;
  const isDue = group.rollback === 'auto' || (hasExpired && canRoll);
  if (!isHalted || !isDue || target.rejected !== undefined) return [];
  if (earlierImage(group, target.spec, observed.nodes, observed.earlier) === undefined) return [];
  const kept = live.filter(({ node }) => node.labels.spec !== target.spec);
  // Without a node of an earlier image, the failed ones carry the mark.
  return (kept.length > 0 ? kept : live).map(({ node }) => ({
    kind: 'reject',
    node,
    rejected: target.spec,
    reason: group.rollback === 'auto' ? 'failed' : 'expired',
  }));
}

/** Keeps the first action for each node, so that a pass changes no node twice. */
function onePerNode(actions: readonly Action[]): readonly Action[] {
  const seen = new Set<string>();
  return actions.filter((action) => {
    const key = action.kind === 'create' ? action.name : action.node.name;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function nextTime({ group, live, stale, now }: Pass, creates: boolean): number | undefined {
  let next = creates ? now + group.startupTimeoutMs : Infinity;
  for (const { changesAt, node } of live) {
    if (changesAt < next) next = changesAt;
    const { draining } = node.labels;
    if (draining !== undefined) next = Math.min(next, draining + (group.drainTimeoutMs ?? 0));
    const { canary } = group;
    if (canary !== undefined && stale.length > 0 && node.labels.ready !== undefined) {
      const bakedAt = node.labels.ready + canary.bakeMs;
      if (bakedAt > now) next = Math.min(next, bakedAt);
    }
  }
  if (stale.length > 0 && group.windows.length > 0) next = Math.min(next, nextChange(now));
  return next === Infinity ? undefined : Math.max(next, now + 1);
}
