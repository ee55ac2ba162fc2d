import type { Digest } from '@lkt/core';
import type { RawPath } from '@lkt/oci';
import type { AddPart, CopyStep, RunStep, WorkdirStep } from '@lkt/dockerfile';
import type { StepRecord } from '../step-cache.ts';
import type { Layers, LayerRef } from '../layers/layers.ts';

/** Does what the cache cannot answer. */
export interface StepExecutor {
  /** Whether a path is a directory in a file system, links followed. */
  isDirectory(layers: Layers, path: RawPath): Promise<boolean>;
  /** Digest of what a COPY takes from a file system: names, types, modes, owners, times, contents. */
  selectionDigest(step: CopyStep, from: Layers, isDirectory: boolean): Promise<Digest>;
  /** Runs a step on the layers below it. */
  execute(parent: Layers, work: StepWork, options: LayerOptions): Promise<StepRecord>;
  /** The layer with its blob, made from its directory. */
  withBlob(layer: LayerRef): Promise<StepRecord>;
}

export interface LayerOptions {
  /** Whether the layer is one of the image, and so needs a blob. */
  readonly blob: boolean;
  /** A layer that is not this one gets a blob in any case. */
  readonly expected?: Digest;
  /** What the step gave before: a layer that is the same has its blob. */
  readonly before?: StepRecord | undefined;
  /** Takes the output of a command. */
  readonly log: (text: string) => void;
}

/** A step with the inputs that its execution needs. */
export type StepWork = WorkdirWork | CopyWork | RunWork;

interface WorkdirWork {
  readonly kind: 'workdir';
  readonly step: WorkdirStep;
}

export interface CopyWork {
  readonly kind: 'copy';
  readonly step: CopyStep;
  /** The source: a file system, the files of a commit by `gitKey`, or undefined for the context. */
  readonly from: Layers | { readonly git: string } | undefined;
  readonly isDirectory: boolean;
  /** Of the context, what is copied and unpacked, in this order. */
  readonly parts: readonly AddPart[];
}

export interface RunWork {
  readonly kind: 'run';
  readonly step: RunStep;
  readonly network: 'none' | 'host';
  /** For each of the step's mounts, the file system it is from; undefined for the context. */
  readonly mounts: readonly (Layers | undefined)[];
}
