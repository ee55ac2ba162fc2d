import type { Digest, SourceFile } from '@lkt/core';
import type { Descriptor } from '@lkt/oci';
import type { ContextFile } from '../context/context.ts';
import type { BuildPlan } from '@lkt/dockerfile';
import type { World } from '../world.ts';
import type { Limits } from '../limits.ts';

/** A layer of a file system that is being built. `descriptor` is null for one that has no blob. */
export interface LayerRef {
  readonly diffId: Digest;
  readonly descriptor: Descriptor | null;
}

/** A file system as its layers, the lowest first. */
export type Chain = readonly LayerRef[];

/** What the native engine works off, as JSON: the main process makes it, a worker may get it. */
export interface Job {
  readonly name: string;
  readonly file: SourceFile;
  readonly plan: BuildPlan;
  readonly context: readonly ContextFile[];
  /** Layers of the images the plan names, by `imageKey`. */
  readonly images: Readonly<Record<string, Chain>>;
  /** What ADD takes from git repositories, by `gitKey`. Not there before it has been fetched. */
  readonly gitFiles?: Readonly<Record<string, LayerRef>>;
  readonly network: boolean;
  readonly noCache: boolean;
  readonly cpus: number;
  readonly keepLayers: boolean;
  readonly world?: World;
  /** As in `BuildRequest`. */
  readonly executor: string;
  /** Of each RUN. */
  readonly limits: Limits;
}

/** The layers, for keys: what a file system holds is named by them. */
export function diffIds(chain: Chain): readonly Digest[] {
  return chain.map((layer) => layer.diffId);
}
