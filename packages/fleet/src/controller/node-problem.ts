import type { Node } from '../node.ts';
import type { ObservedHealth } from '../reconcile/decision.ts';

/** Returns why a node does not count as healthy; undefined if no problem is known. */
export function nodeProblem(
  { id, power, attestation }: Node,
  health: ReadonlyMap<string, ObservedHealth>,
): string | undefined {
  if (power === 'stopped') return 'its machine is off';
  const problem = health.get(id)?.problem;
  if (problem !== undefined) return problem;
  if (attestation === 'rejected') return 'the program of "attest" rejects it';
  return attestation === 'pending' ? 'the program of "attest" has not verified it' : undefined;
}
