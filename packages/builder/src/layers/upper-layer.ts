import { type Digest, LktError } from '@lkt/core';
import { type Descriptor, type Store, writeLayer } from '@lkt/oci';
import { layerEntries } from './layer-entries.ts';
import { hashLayer } from './layer-hash.ts';
import type { LayerRef } from './layers.ts';

/** The needs of a layer, and the layers that it may equal. */
export interface UpperLayerOptions {
  /** Whether the layer needs a blob. */
  readonly blob: boolean;
  /** The expected layer; a different one gets a blob in any case. */
  readonly expected?: Digest;
  /** The previous layer of the step; an equal layer reuses its blob. */
  readonly before?: LayerRef | undefined;
}

/**
 * Makes a layer of the upper directory of an overlay mount, with or without a blob in the store.
 * Reuses an intact blob of an equal layer, as verifying it is faster than compressing.
 */
export async function upperLayer(
  upper: string,
  { blob, expected, before }: UpperLayerOptions,
  { store, signal }: { readonly store: Store; readonly signal: AbortSignal },
): Promise<LayerRef> {
  const known = before?.descriptor ?? undefined;
  if (blob && before !== undefined && known !== undefined) {
    const isSame = before.diffId === (await hashLayer(upper, signal));
    if (isSame && (await hasWhole(store, known))) return before;
  }
  if (!blob) {
    const diffId = await hashLayer(upper, signal);
    if (expected === undefined || expected === diffId) return { diffId, descriptor: null };
  }
  return writeLayer(store, layerEntries(upper), { signal });
}

async function hasWhole(store: Store, blob: Descriptor): Promise<boolean> {
  if (!(await store.keep(blob.digest, blob.size))) return false;
  try {
    for await (const _ of store.read(blob));
    return true;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return false;
  }
}
