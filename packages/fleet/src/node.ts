import type { NodeLabels } from './node-labels.ts';

/**
 * Whether a node runs. A node that is being destroyed is `terminating` until it is gone: it still
 * has its disks and its share of the provider's capacity.
 */
export type Power = 'pending' | 'running' | 'stopped' | 'terminating';

/** Result of a health check; `unknown` until the first. */
export type Health = 'unknown' | 'healthy' | 'unhealthy';

/**
 * Result of a remote attestation: whether the boot that the node measured is that of its image. It
 * is pending for a new node, until the first result.
 */
export type Attestation = 'verified' | 'rejected' | 'pending';

/** An address and a port that the controller can reach. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A machine of a fleet, as its provider lists it. */
export interface Node {
  /** The provider's identifier. */
  readonly id: string;
  /** Unique in the fleet. */
  readonly name: string;
  readonly power: Power;
  readonly labels: NodeLabels;
  /** Addresses at which every port of the guest is reachable; empty before it has one. */
  readonly addresses: readonly string[];
  /** Where single ports of the guest are reachable, by the port in the guest. */
  readonly published: ReadonlyMap<number, Endpoint>;
  /**
   * A rejected node is unhealthy, and a pending one is not healthy yet. Undefined where nothing
   * attests. The controller adds it: providers leave it out.
   */
  readonly attestation?: Attestation | undefined;
}

/** Returns where a port of a node is reachable; undefined while it has no address. */
export function endpointOf(node: Node, port: number): Endpoint | undefined {
  const [host] = node.addresses;
  return node.published.get(port) ?? (host === undefined ? undefined : { host, port });
}
