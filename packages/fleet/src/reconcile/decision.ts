import type { Digest } from '@lkt/core';
import type { Health, Node } from '../node.ts';
import type { ClassifiedNode } from './classify.ts';
import type { DestroyReason } from '../provider.ts';

/** Health of a node, and the start of that state by the controller's clock. */
export interface ObservedHealth {
  readonly health: Health;
  readonly since: number;
  /** Why its last check failed; undefined if it succeeded. */
  readonly problem?: string;
}

/** The observed state of one group. */
export interface Observation {
  /** All nodes of the group that the provider lists. */
  readonly nodes: readonly Node[];
  /** By id; a missing one is unknown. */
  readonly health: ReadonlyMap<string, ObservedHealth>;
  /** Ids of nodes whose drain has ended before its timeout. */
  readonly drained: ReadonlySet<string>;
  /** Nodes that failed since one of their spec was ready, as the controller counts them. */
  readonly failures: ReadonlyMap<string, number>;
  /** Fixed names of the group that nodes of other groups of the file have, with those groups. */
  readonly taken?: ReadonlyMap<string, string>;
  /**
   * The image of nodes that were ready before, as far as this controller has seen them. Only a
   * group whose nodes are all gone at once needs it for a rollback.
   */
  readonly earlier?: Digest;
  /** The spec that this controller rolled back, for a group without a node to keep the mark. */
  readonly rejected?: string;
  /** The provider had no room for the last node. */
  readonly isShort: boolean;
  /** The clock jumped since the last pass, so ages are in doubt: no node expires in this pass. */
  readonly hasJumped: boolean;
}

/** One change of a node. At most one per node in a decision. */
export type Action =
  | {
      readonly kind: 'create';
      readonly name: string;
      readonly image: Digest;
      readonly spec: string;
      readonly attempt: number;
      readonly slot?: number;
      readonly previous?: Digest;
      readonly rejected?: string;
    }
  | { readonly kind: 'destroy'; readonly node: Node; readonly reason: DestroyReason }
  /** Ends the shutdown of a terminating node whose time is over. */
  | { readonly kind: 'finish'; readonly node: Node }
  | { readonly kind: 'drain'; readonly node: Node; readonly reason: DestroyReason }
  | { readonly kind: 'undrain'; readonly node: Node }
  | { readonly kind: 'ready'; readonly node: Node }
  /** Marks the wanted spec as rolled back, on a node that stays. */
  | {
      readonly kind: 'reject';
      readonly node: Node;
      readonly rejected: string;
      /** Why the rollback begins; undefined for the mark of one that has begun. */
      readonly reason?: 'expired' | 'failed';
    }
  /** Renews the hash of a node whose spec is the wanted one under older rules. */
  | { readonly kind: 'rehash'; readonly node: Node; readonly spec: string };

/** Numbers of nodes by their state, and what holds back further actions. */
export interface GroupStatus {
  readonly size: number;
  readonly listed: number;
  readonly available: number;
  /** Nodes of the wanted spec that are ready. */
  readonly current: number;
  /** Nodes that are to be replaced. */
  readonly stale: number;
  readonly failed: number;
  readonly sick: number;
  /** The image that nodes are to have; after a rollback not that of fleet.yml. */
  readonly image: Digest;
  /** The image of fleet.yml was rolled back. */
  readonly isRolledBack: boolean;
  readonly isHalted: boolean;
  /** Only a pause holds back what is left to do. */
  readonly isPaused: boolean;
  /** All nodes are as wanted. */
  readonly isConverged: boolean;
  /** Reasons that hold back replacements; empty if nothing does. */
  readonly holds: readonly string[];
}

/** The result of `reconcile`. */
export interface Decision {
  readonly actions: readonly Action[];
  readonly status: GroupStatus;
  /** The nodes that are neither terminating nor held. */
  readonly live: readonly ClassifiedNode[];
  /** When the decision may change by time alone; undefined: never. */
  readonly nextAt: number | undefined;
}
