import type { Digest } from '@lkt/core';
import type { AddPart, CopyStep, RunStep, WorkdirStep } from '@lkt/dockerfile';
import type { Layers, LayerRef } from '../layers/layers.ts';

export interface LayerOptions {
  /** Whether the layer is part of the image, and so needs a blob. */
  readonly blob: boolean;
  /** The expected layer; a different one gets a blob in any case. */
  readonly expected?: Digest;
  /** The previous layer of the step; an equal layer reuses its blob. */
  readonly before?: LayerRef | undefined;
  /** Called with the output of a command. */
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
  /** The parts of the context to copy or unpack, in this order. */
  readonly parts: readonly AddPart[];
}

export interface RunWork {
  readonly kind: 'run';
  readonly step: RunStep;
  readonly network: 'none' | 'host';
  /** The source file system of each mount of the step; undefined for the context. */
  readonly mounts: readonly (Layers | undefined)[];
}
