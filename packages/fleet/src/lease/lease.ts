import { LktError } from '@lkt/core';

/** The right to change the nodes of a fleet, for one controller at a time. */
export interface Lease {
  /** Larger than that of every earlier controller. */
  readonly generation: number;
  /** Aborted once the lease is lost, with an LktError LEASE_LOST. */
  readonly signal: AbortSignal;
  /**
   * Throws if the lease may have ended, even before the signal says so: a process that was stopped
   * for a while continues in the middle of its work.
   * @throws LktError LEASE_LOST
   */
  readonly requireHeld: () => void;
}

/** How to wait for a lease. */
interface HoldOptions {
  readonly signal: AbortSignal;
  /** Waits for as long as another controller has it, instead of three seconds. */
  readonly isStandby?: boolean;
}

/** Keeps the lease of a fleet. */
export interface LeaseKeeper {
  /**
   * Runs `run` with the lease.
   * @throws LktError LEASE_HELD while another controller has it; LEASE_LOST, see {@link Lease}
   */
  hold<T>(run: (lease: Lease) => Promise<T>, options: HoldOptions): Promise<T>;
  /**
   * Returns the generation of the last lease, for labels that a user sets while a controller runs.
   */
  current(signal: AbortSignal): Promise<number>;
}

/** How long a new controller waits for one that is ending. */
export const WAIT_MS = 3000;

/**
 * Returns the generation after one. Generations also grow with the clock, so that a lost counter
 * costs nothing.
 */
export function nextGeneration(last: number): number {
  return Math.max(last + 1, Math.floor(Date.now() / 1000));
}

/** Parses a generation that was stored; 0 for a missing or damaged one. */
export function parseGeneration(text: string | undefined): number {
  const number = Number(text?.trim() ?? '0');
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

/** Returns the error for a lease that another controller has. */
export function leaseHeld(cause: unknown): LktError {
  return new LktError('LEASE_HELD', 'another controller manages this fleet', {
    cause,
    fix: 'stop it, or wait until it ends: lkt fleet watch --standby',
  });
}
