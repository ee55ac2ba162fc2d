import type { Digest, LktErrorCode, ProgressEvent } from '@lkt/core';
import type { Limits } from '../limits.ts';
import type { StepResult, BuildEnvironment } from '../variation.ts';
import type { LayerRef } from '../layers/layers.ts';
import type { PlanResults } from '../steps/plan-walk.ts';
import type { Job } from './job.ts';

/**
 * The first line on the standard input of a worker. It may arrive long before a job, so that slow
 * preparations are done by then.
 */
export interface WorkerSetup {
  /** Directory of the store. */
  readonly store: string;
  /** Process id of the parent. */
  readonly parent: number;
  /** As in `Namespace`. */
  readonly owner: string;
  readonly isRoot: boolean;
  readonly hasUsers: boolean;
  /** As in `BuildRequest`. */
  readonly limits: Limits;
  readonly executor: string;
  readonly environment?: BuildEnvironment;
}

/** The job of a worker: each further line on its standard input. Without a job, a worker ends. */
export interface WorkerJob extends Job {
  /** Steps that the caches have. The worker does not look them up again. */
  readonly known: readonly StepResult[];
  /** The files of git repositories that ADD uses, by `gitKey`. */
  readonly gitFiles: Readonly<Record<string, LayerRef>>;
  /** Secrets by id, in base64. */
  readonly secrets: readonly (readonly [string, string])[];
  /** Sockets of SSH agents, by id. */
  readonly ssh: readonly (readonly [string, string])[];
  /** Digests of files of the context that are known already, by the keys of `DigestMemo`. */
  readonly digests: readonly (readonly [string, Digest])[];
}

/** A message of a worker: events, then one of the others. */
export type WorkerMessage =
  | { readonly kind: 'event'; readonly event: ProgressEvent }
  | ({ readonly kind: 'result' } & PlanResults)
  | {
      readonly kind: 'error';
      readonly code: LktErrorCode;
      readonly message: string;
      readonly fix: string | undefined;
      readonly detail: string | undefined;
      readonly cause: string | undefined;
    }
  | { readonly kind: 'crash'; readonly stack: string };
