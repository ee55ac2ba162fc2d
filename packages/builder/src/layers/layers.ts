import type { Digest } from '@lkt/core';
import type { Descriptor } from '@lkt/oci';

/** A layer of a file system that is being built. `descriptor` is null for one that has no blob. */
export interface LayerRef {
  readonly diffId: Digest;
  readonly descriptor: Descriptor | null;
}

/** A file system as its layers, the lowest first. */
export type Layers = readonly LayerRef[];

/** The layers, for keys: what a file system holds is named by them. */
export function diffIds(layers: Layers): readonly Digest[] {
  return layers.map((layer) => layer.diffId);
}
