import type { BuildPlan } from '@lkt/dockerfile';
import type { SourceFile } from '@lkt/core';
import type { BuildRequest } from '../engine.ts';
import type { Layers } from '../layers/layers.ts';

/** A request and its plan, as far as steps depend on them. It can be written as JSON. */
export interface Job extends Pick<
  BuildRequest,
  'name' | 'network' | 'variation' | 'cacheScope' | 'emptyCaches'
> {
  readonly file: SourceFile;
  readonly plan: BuildPlan;
  /** Layers of the plan's images, by `imageKey`. */
  readonly images: Readonly<Record<string, Layers>>;
  readonly noCache: boolean;
  readonly cpus: number;
  readonly keepLayers: boolean;
}
