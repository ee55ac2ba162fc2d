import { hash } from 'node:crypto';
import { canonicalJson, type Digest } from '@lkt/core';
import type { Window } from './windows.ts';

/** The desired state of one group of nodes, with every number resolved. */
export interface GroupSpec {
  readonly fleet: string;
  readonly name: string;
  readonly image: Digest;
  /** Hash of everything else that makes a node: {@link templateHash}. */
  readonly template: string;
  readonly size: number;
  /**
   * Names of the nodes where they are fixed: machines, or the slots of a group with volumes. Such a
   * group has no surge.
   */
  readonly names?: readonly string[];
  /** Nodes beyond `size` while nodes are replaced. */
  readonly surge: number;
  /** Nodes below `size` that lkt itself may make unavailable. */
  readonly unavailable: number;
  /** Periods in which nodes are replaced for image, template or age; empty: always. */
  readonly windows: readonly Window[];
  /** A node that is not ready after this time has failed. */
  readonly startupTimeoutMs: number;
  /** How long a node is healthy before it counts as ready. */
  readonly minReadyMs: number;
  /** Further attempts after a failed node, before the roll halts. */
  readonly retries: number;
  readonly expireAfterMs?: number;
  /** Fraction of `expireAfterMs` by which nodes expire earlier, each by its own part. */
  readonly jitter: number;
  /** Fraction of sick nodes above which the probe is to blame, and none is replaced. */
  readonly maxSick: number;
  /** The first nodes of a new image: the roll continues once they are ready for `bakeMs`. */
  readonly canary?: { readonly nodes: number; readonly bakeMs: number };
  /** Undefined: nodes are not drained. */
  readonly drainTimeoutMs?: number;
  readonly rollback: 'off' | 'auto';
  /** Replaces no node for its image, template or age. */
  readonly isPaused: boolean;
}

/** Returns the hash that names a pair of image and template: 16 hexadecimal digits. */
export function specHash(image: Digest, template: string): string {
  // The last hash is kept, because every pass asks for the same few.
  if (last?.image !== image || last.template !== template) {
    const text = `${image} ${template}`;
    last = { image, template, hash: hash('sha256', text).slice(0, 16) };
  }
  return last.hash;
}

let last: { readonly image: Digest; readonly template: string; readonly hash: string } | undefined;

/** Returns the hash of a template: 16 hexadecimal digits. Equal data gives equal hashes. */
export function templateHash(template: unknown): string {
  return hash('sha256', canonicalJson(template)).slice(0, 16);
}
