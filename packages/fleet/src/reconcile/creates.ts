import { canaryRoom } from './canary.ts';
import type { ClassifiedNode } from './classify.ts';
import type { Action } from './decision.ts';
import type { Pass } from './pass.ts';
import { isUrgent } from './replaces.ts';
import { earlierImage } from './target.ts';

/** Characters of a spec in the name of a node. */
const SPEC_CHARS = 8;

/** Decides which nodes are created, in view of those that this pass destroys. */
export function createActions(pass: Pass, replaces: readonly Action[]): readonly Action[] {
  const { group, target, live, held, observed, surge, isHalted } = pass;
  if (isHalted) return [];
  const gone = new Set<string>();
  for (const one of replaces) if (one.kind === 'destroy') gone.add(one.node.id);
  const left = gone.size === 0 ? live : live.filter(({ node }) => !gone.has(node.id));
  const missing = pass.size - left.length;
  // A node that is being destroyed keeps its place until it is no longer listed.
  const room = pass.size + surge - (observed.nodes.length - held.length);
  // A canary limits the roll, not the repair of a group with too few nodes.
  const limit = Math.max(missing, canaryRoom(pass, left) ?? Infinity);
  const count = Math.min(room, limit, missing + replacements(pass, left));
  if (count <= 0) return [];
  const previous = earlierImage(group, target.spec, observed.nodes, observed.earlier);
  // The controller counts the nodes that fail in this pass after it.
  const failing = replaces.filter(
    (one) =>
      one.kind === 'destroy' && one.reason === 'failed' && one.node.labels.spec === target.spec,
  );
  const attempt = (observed.failures.get(target.spec) ?? 0) + failing.length;
  return freeNames(pass, count).map(({ name, slot }) => ({
    kind: 'create',
    name,
    image: target.image,
    spec: target.spec,
    attempt,
    slot,
    previous: previous === target.image ? undefined : previous,
    rejected: target.rejected,
  }));
}

/** Returns how many nodes beyond the size are wanted, to take the place of stale ones. */
function replacements({ surge, canRoll, failed }: Pass, left: readonly ClassifiedNode[]): number {
  if (surge === 0 || failed.length > 0) return 0;
  let waiting = 0;
  for (const { staleFor } of left)
    if (staleFor !== undefined && (canRoll || isUrgent(staleFor))) waiting += 1;
  return Math.min(surge, waiting);
}

/** Returns the maximum length of generated node names. */
export function freeNameLength(group: string, count: number): number {
  return `${group}-${'0'.repeat(SPEC_CHARS)}-${Math.max(0, count - 1)}`.length;
}

/** Returns names that no listed node has: those of fixed places, or the first free numbers. */
function freeNames(
  { group, target, observed }: Pass,
  count: number,
): readonly { readonly name: string; readonly slot?: number }[] {
  if (group.names !== undefined) {
    const own = new Set(observed.nodes.map(({ name }) => name));
    return group.names
      .map((name, slot) => ({ name, slot }))
      .filter(({ name }) => !own.has(name) && observed.taken?.has(name) !== true)
      .slice(0, count);
  }
  const prefix = `${group.name}-${target.spec.slice(0, SPEC_CHARS)}-`;
  const taken = new Set<number>();
  for (const { name } of observed.nodes)
    if (name.startsWith(prefix)) taken.add(Number(name.slice(prefix.length)));
  const free: { readonly name: string }[] = [];
  for (let number = 0; free.length < count; number += 1)
    if (!taken.has(number)) free.push({ name: `${prefix}${number}` });
  return free;
}
