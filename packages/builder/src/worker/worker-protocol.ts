import type { LktErrorCode, ProgressEvent } from '@lkt/core';
import type { ReadFile } from '../context/context.ts';
import type { Limits } from '../limits.ts';
import type { StepResult, BuildEnvironment } from '../variation.ts';
import type { LayerRef } from '../layers/layers.ts';
import type { PlanResults } from '../steps/plan-walk.ts';
import type { Job } from './job.ts';
import type { Namespace } from './namespace.ts';

/** Options of a worker, for all its jobs. */
export interface WorkerOptions {
  /** Directory of the store. */
  readonly store: string;
  /** Key of its sealed files. */
  readonly key: string;
  /** As in `BuildRequest`. */
  readonly limits?: Limits | undefined;
  readonly executor?: string | undefined;
  readonly environment?: BuildEnvironment | undefined;
  /** Whether it stays for further jobs. */
  readonly stays?: boolean | undefined;
  /** Whether its first job may have a RUN; default true. */
  readonly expectsRun?: boolean | undefined;
}

/**
 * The first line on the standard input of a worker. It may arrive long before a job, so that slow
 * preparations are done by then.
 */
export interface WorkerSetup extends Omit<Namespace, 'argv'>, Omit<WorkerOptions, 'stays'> {
  /** Process id of the parent. */
  readonly parent: number;
  readonly limits: Limits;
  readonly executor: string;
}

/** The job of a worker: each further line on its standard input. Without a job, a worker ends. */
export interface WorkerJob extends Job {
  /** The files of the build context, with what has been read of them. */
  readonly context: readonly ReadFile[];
  /** Steps that the caches have. The worker does not look them up again. */
  readonly known: readonly StepResult[];
  /** The files of git repositories that ADD uses, by `gitKey`. */
  readonly gitFiles: Readonly<Record<string, LayerRef>>;
  /** Secrets by id, in base64. */
  readonly secrets: readonly (readonly [string, string])[];
  /** Sockets of SSH agents, by id. */
  readonly ssh: readonly (readonly [string, string])[];
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
