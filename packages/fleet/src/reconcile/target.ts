import type { Digest } from '@lkt/core';
import type { Node } from '../node.ts';
import type { Observation } from './decision.ts';
import { type GroupSpec, specHash } from './group-spec.ts';

/** The wanted spec of nodes. */
export interface Target {
  readonly image: Digest;
  readonly spec: string;
  /** The spec of fleet.yml, if it was rolled back. */
  readonly rejected?: string;
}

/**
 * Returns the wanted spec: that of fleet.yml, unless a label marks it as rolled back and an earlier
 * image is known.
 */
export function targetOf(
  group: GroupSpec,
  { nodes, earlier, rejected }: Pick<Observation, 'earlier' | 'nodes' | 'rejected'>,
): Target {
  const spec = specHash(group.image, group.template);
  const wanted = { image: group.image, spec };
  const isRejected = rejected === spec || nodes.some(({ labels }) => labels.rejected === spec);
  const image = isRejected ? earlierImage(group, spec, nodes, earlier) : undefined;
  if (image === undefined) return wanted;
  return { image, spec: specHash(image, group.template), rejected: spec };
}

/**
 * Returns the target image of a rollback: that of most nodes with the same template and
 * another image, else the one that nodes name as their previous, else `seen`. Undefined if none is
 * known.
 */
export function earlierImage(
  group: GroupSpec,
  spec: string,
  nodes: readonly Node[],
  seen: Digest | undefined,
): Digest | undefined {
  const votes = new Map<Digest, number>();
  for (const { labels, power } of nodes) {
    if (power === 'terminating') continue;
    const isEarlier = labels.image !== group.image && labels.template === group.template;
    if (isEarlier) votes.set(labels.image, (votes.get(labels.image) ?? 0) + 1);
  }
  if (votes.size === 0)
    for (const { labels } of nodes)
      if (labels.spec === spec && labels.previous !== undefined)
        votes.set(labels.previous, (votes.get(labels.previous) ?? 0) + 1);
  const [first] = [...votes].toSorted(
    ([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1),
  );
  return first?.[0] ?? (seen === group.image ? undefined : seen);
}
