import type { AddPart, CopyStep, RunStep, WorkdirStep } from '@lkt/dockerfile';
import type { Layers } from '../layers/layers.ts';
import type { UpperLayerOptions } from '../layers/upper-layer.ts';

export interface LayerOptions extends UpperLayerOptions {
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
