import type { Node } from '../node.ts';
import { SPEC_VERSION } from '../node-labels.ts';
import type { DestroyReason } from '../provider.ts';
import type { Observation } from './decision.ts';
import { expiryOf } from './expiry.ts';
import type { GroupSpec } from './group-spec.ts';
import type { Target } from './target.ts';

/** A node with what follows from its labels, its health and the time. */
export interface ClassifiedNode {
  readonly node: Node;
  /** Why it is to be replaced; undefined if it is as wanted. */
  readonly staleFor: DestroyReason | undefined;
  /** Has reached the maximum age. */
  readonly isExpired: boolean;
  /** Healthy, and ready for the minimum time. */
  readonly isAvailable: boolean;
  readonly isHealthy: boolean;
  /** Never became ready in time. Only set for the wanted spec. */
  readonly hasFailed: boolean;
  /** Was ready, and no longer is. */
  readonly isSick: boolean;
  /** Its machine is off, which needs no probe. */
  readonly isOff: boolean;
  /** Healthy for the minimum time, but not yet labelled as ready. */
  readonly becomesReady: boolean;
  /** The earliest time at which any of these may change by itself. */
  readonly changesAt: number;
}

/**
 * Classifies a node that is not terminating.
 * @param names of `group`
 */
export function classify(
  group: GroupSpec,
  target: Target,
  observed: Observation,
  node: Node,
  now: number,
  names?: ReadonlySet<string>,
): ClassifiedNode {
  const { labels, power, id, attestation } = node;
  const seen = observed.health.get(id);
  const isOff = power === 'stopped';
  const isRejected = attestation === 'rejected';
  const isProven = attestation === undefined || attestation === 'verified';
  const isHealthy = power === 'running' && seen?.health === 'healthy' && isProven;
  const isWanted =
    labels.spec === target.spec ||
    (labels.specVersion !== SPEC_VERSION &&
      labels.image === target.image &&
      labels.template === group.template);
  const wasReady = labels.ready !== undefined;
  const readyAt = (seen?.since ?? now) + group.minReadyMs;
  const becomesReady = !wasReady && isHealthy && now >= readyAt;
  // A fast clock must not extend the startup timeout.
  const failsAt = Math.min(labels.created, seen?.since ?? now) + group.startupTimeoutMs;
  // A clock set back must not age a node.
  const hasFailed = isWanted && !wasReady && !isHealthy && (isOff || now >= failsAt);
  const lives = wasReady || hasFailed;
  const expiresAt = lives ? expiryOf(group, node.name, labels.created) : undefined;
  const isExpired = expiresAt !== undefined && now >= expiresAt && !observed.hasJumped;
  return {
    node,
    staleFor:
      names?.has(node.name) === false
        ? 'excess'
        : staleReason(isWanted, isExpired && !hasFailed, node, target),
    isExpired,
    isAvailable: isHealthy && wasReady && labels.draining === undefined,
    isHealthy,
    hasFailed,
    isSick: wasReady && (isOff || isRejected || seen?.health === 'unhealthy'),
    isOff,
    becomesReady,
    changesAt: Math.min(
      !wasReady && isHealthy ? readyAt : Infinity,
      isWanted && !wasReady && now < failsAt ? failsAt : Infinity,
      expiresAt !== undefined && now < expiresAt ? expiresAt : Infinity,
    ),
  };
}

function staleReason(
  isWanted: boolean,
  isExpired: boolean,
  { labels }: Node,
  target: Target,
): DestroyReason | undefined {
  if (labels.replace !== undefined) return 'requested';
  if (!isWanted) {
    if (target.rejected !== undefined && labels.spec === target.rejected) return 'rolled back';
    return labels.image === target.image ? 'template' : 'image';
  }
  return isExpired ? 'expired' : undefined;
}

/** Orders nodes by their age, the oldest first. */
export function byAge(a: ClassifiedNode, b: ClassifiedNode): number {
  const [one, other] = [a.node, b.node];
  return one.labels.created - other.labels.created || (one.name < other.name ? -1 : 1);
}
