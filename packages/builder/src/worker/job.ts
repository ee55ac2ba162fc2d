import type { SourceFile } from '@lkt/core';
import type { LayerRef, Layers } from '../layers/layers.ts';
import type { ContextFile } from '../context/context.ts';
import type { BuildPlan } from '@lkt/dockerfile';
import type { Variation } from '../variation.ts';
import type { Limits } from '../limits.ts';

/** What the native engine works off, as JSON: the main process makes it, a worker may get it. */
export interface Job {
  readonly name: string;
  readonly file: SourceFile;
  readonly plan: BuildPlan;
  readonly context: readonly ContextFile[];
  /** Layers of the images the plan names, by `imageKey`. */
  readonly images: Readonly<Record<string, Layers>>;
  /** What ADD takes from git repositories, by `gitKey`. Not there before it has been fetched. */
  readonly gitFiles?: Readonly<Record<string, LayerRef>>;
  readonly network: boolean;
  readonly noCache: boolean;
  readonly cpus: number;
  readonly keepLayers: boolean;
  readonly variation?: Variation;
  /** As in `BuildRequest`. */
  readonly executor: string;
  /** Of each RUN. */
  readonly limits: Limits;
}
