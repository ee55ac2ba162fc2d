import type { ClassifiedNode } from './classify.ts';
import type { Pass } from './pass.ts';

/**
 * Returns how many nodes of the new image may be added before the canaries are baked; undefined if
 * they are, or if no node of an earlier image serves.
 */
export function canaryRoom(
  { group: { canary }, size, target, now }: Pass,
  left: readonly ClassifiedNode[],
): number | undefined {
  if (canary === undefined || target.rejected !== undefined) return undefined;
  const own = left.filter(({ node }) => node.labels.spec === target.spec);
  const isServing = ({ node: { labels } }: ClassifiedNode): boolean =>
    labels.spec !== target.spec && labels.ready !== undefined;
  if (!left.some(isServing)) return undefined;
  const baked = own.filter(
    ({ node: { labels } }) => labels.ready !== undefined && now - labels.ready >= canary.bakeMs,
  );
  const wanted = Math.min(canary.nodes, size);
  if (baked.length >= wanted) return undefined;
  // A place that is free will have a node of the new image.
  const free = Math.max(0, size - left.length);
  return Math.max(0, wanted - own.length - free);
}
