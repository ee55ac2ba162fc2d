import type { NodeLabels } from '../node-labels.ts';
import { ProviderError } from '../provider.ts';

/** Fix for a command that has an older generation than the controller. */
export const NEWER_LEASE = "use that controller's lease: the same user and machine, or --lease";

/**
 * Rejects the late write of a replaced controller to a node that a newer one created or labelled.
 * For providers that cannot compare generations.
 * @throws ProviderError `fenced`
 */
export function requireGeneration(
  name: string,
  labels: NodeLabels,
  { generation }: { readonly generation: number },
): void {
  if (labels.generation <= generation) return;
  throw new ProviderError(
    'fenced',
    `generation ${generation} is over: ${name} is managed by generation ${labels.generation}`,
    { fix: NEWER_LEASE },
  );
}
