import type { DestroyReason } from '../provider.ts';

/**
 * A change of a fleet, or the reason that prevents one. Printed as a JSON line; contains no
 * secrets.
 */
export interface FleetEvent {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly fleet: string;
  readonly group?: string;
  readonly kind:
    | 'create'
    | 'destroy'
    | 'drain'
    | 'undrain'
    | 'ready'
    | 'rollback'
    | 'halted'
    | 'converged'
    | 'error'
    | 'orphan'
    /** An image that nothing used was removed from a provider. */
    | 'image removed'
    /** The spec of a group was written, or a roll was started or stopped, at an engine. */
    | 'stated'
    | 'roll'
    | 'stopped';
  readonly node?: string;
  readonly image?: string;
  readonly reason?: DestroyReason;
  readonly attempt?: number;
  /** File with the console of a node that failed. */
  readonly console?: string;
  readonly message?: string;
}
