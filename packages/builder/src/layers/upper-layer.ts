/**
 * Makes a layer of the upper directory of an overlay mount, with or without a blob in the store.
 */
import { type Digest, LktError } from '@lkt/core';
import { type Descriptor, type Store, writeLayer } from '@lkt/oci';
import { layerEntries } from './layer-entries.ts';
import { hashLayer } from './layer-hash.ts';
import type { LayerRef } from './layers.ts';

interface UpperLayerOptions {
  readonly store: Store;
  readonly signal: AbortSignal;
}

/**
 * Returns the layer with its blob. Reuses an intact blob of an equal layer, as verifying it is
 * faster than compressing.
 */
export async function writeUpper(
  upper: string,
  before: LayerRef | undefined,
  { store, signal }: UpperLayerOptions,
): Promise<LayerRef> {
  const blob = before?.descriptor ?? undefined;
  if (
    before !== undefined &&
    blob !== undefined &&
    before.diffId === (await hashLayer(layerEntries(upper), signal)) &&
    (await hasWhole(store, blob))
  )
    return before;
  return writeLayer(store, layerEntries(upper), { signal });
}

/** Returns the layer without a blob, unless it differs from the expected one. */
export async function hashUpper(
  upper: string,
  expected: Digest | undefined,
  { store, signal }: UpperLayerOptions,
): Promise<LayerRef> {
  const diffId = await hashLayer(layerEntries(upper), signal);
  if (expected === undefined || expected === diffId) return { diffId, descriptor: null };
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
