import type { Store } from '@lkt/oci';
import type { StepRecord } from '../step-cache.ts';

/** The result of a step, or a fact about files that a step needed. */
export type StepFact = StepRecord | string;

/**
 * Step records of other machines. A record is a claim: that a step with this key gave this layer.
 * The layer is verified against its digest; that the step gives it can only be verified by running
 * the step.
 */
export interface RemoteStepCache {
  /** Whether there is a cache to import from. */
  readonly imports: boolean;
  /** Whether records are exported. */
  readonly exports: boolean;
  /**
   * Returns the claim for a key; its layer is not fetched yet. Never fails: an unreadable cache
   * counts as empty, with a warning.
   */
  find(key: string, signal?: AbortSignal): Promise<StepFact | undefined>;
  /**
   * Fetches the layer of a claim into the store. Returns false, with a warning, if it is missing or
   * does not match.
   */
  fetch(store: Store, record: StepRecord, signal?: AbortSignal): Promise<boolean>;
  /** Adds a record to the export. It must have a blob. */
  add(key: string, fact: StepFact): void;
}

/** A fact that a build looked up on the way, by its key. */
export interface KnownAnswer {
  readonly key: string;
  readonly answer: string;
}
