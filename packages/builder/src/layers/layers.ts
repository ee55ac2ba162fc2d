import type { Digest } from '@lkt/core';
import type { Descriptor } from '@lkt/oci';

/** A layer of a file system. `descriptor` is null for a layer that is only a directory. */
export interface LayerRef {
  readonly diffId: Digest;
  readonly descriptor: Descriptor | null;
}

/** A file system as its layers, the lowest first. */
export type Layers = readonly LayerRef[];

/** Returns the diff ids of layers, which identify a file system in cache keys. */
export function diffIds(layers: Layers): readonly Digest[] {
  return layers.map((layer) => layer.diffId);
}
