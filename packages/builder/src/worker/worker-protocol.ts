import type { Digest, LktErrorCode, ProgressEvent } from '@lkt/core';
import type { KnownAnswer } from '../remote-cache/remote-step-cache.ts';
import type { Limits } from '../limits.ts';
import type { StepResult, BuildEnvironment } from '../variation.ts';
import type { Layers } from '../layers/layers.ts';
import type { Job } from './job.ts';

/**
 * The first line on the standard input of a worker: where it will build. It may come long before there is a job, so
 * that what takes a while is done by then.
 */
export interface WorkerSetup {
  /** Directory of the store. */
  readonly store: string;
  /** Process that waits for the worker. */
  readonly parent: number;
  /** As in `Namespace`. */
  readonly owner: string;
  readonly isRoot: boolean;
  readonly hasUsers: boolean;
  /** As in the job. */
  readonly limits: Limits;
  readonly executor: string;
  readonly environment?: BuildEnvironment;
}

/** Each line after it. A worker whose input ends without any was not needed. */
export interface WorkerJob {
  readonly job: Job;
  /** What secret mounts are given: ids, and the bytes in base64. */
  readonly secrets: readonly (readonly [string, string])[];
  /** Sockets of SSH agents, by id. */
  readonly ssh: readonly (readonly [string, string])[];
  /** Digests of files of the context that are known already, by the keys of `DigestMemo`. */
  readonly digests: readonly (readonly [string, Digest])[];
}

/** The layers of the target, and what each step gave. */
export interface BuildOutcome {
  readonly layers: Layers;
  readonly steps: readonly StepResult[];
  /** What had to be known of file systems on the way. */
  readonly answers: readonly KnownAnswer[];
}

/** What a worker says: events, then one of the others. */
export type WorkerMessage =
  | { readonly kind: 'event'; readonly event: ProgressEvent }
  | ({ readonly kind: 'result' } & BuildOutcome)
  | {
      readonly kind: 'error';
      readonly code: LktErrorCode;
      readonly message: string;
      readonly fix: string | undefined;
      readonly detail: string | undefined;
      readonly cause: string | undefined;
    }
  | { readonly kind: 'crash'; readonly stack: string };
