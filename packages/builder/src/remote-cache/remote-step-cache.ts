import type { Store } from '@lkt/oci';
import type { StepRecord } from '../step-cache.ts';

/** What a step gave, or the answer to a question about files. */
export type StepFact = StepRecord | string;

/**
 * What other machines have done. All that it says is a claim: that a step with this key gave this layer. That the layer is
 * the one it names is checked; that the step gives it can only be checked by doing the step.
 */
export interface RemoteStepCache {
  /** Whether there is anything to ask. */
  readonly imports: boolean;
  /** Whether what is known is to be handed on. */
  readonly exports: boolean;
  /** What is claimed for a key. The layer is not there yet. Never fails: what cannot be read is none, with a warning. */
  find(key: string, signal?: AbortSignal): Promise<StepFact | undefined>;
  /** Brings the layer of a claim into the store. False, with a warning, when it is not what it should be or not there. */
  fetch(store: Store, record: StepRecord, signal?: AbortSignal): Promise<boolean>;
  /** Hands on what is known. A record has to have a blob. */
  add(key: string, fact: StepFact): void;
}

/** A step of a build, or a question that was asked on the way. */
export interface KnownAnswer {
  readonly key: string;
  readonly answer: string;
}
