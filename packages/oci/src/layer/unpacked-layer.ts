import { type DigestAlgorithm, Digester } from '@lkt/core';
import { decompressLayer } from '../compression/compression.ts';
import type { Descriptor } from '../image/descriptor.ts';
import type { BlobInfo } from '../store/blobs.ts';
import type { Store } from '../store/store.ts';

/** Yields the tar archive of a layer of the store until the signal is aborted. */
export async function* unpackedLayer(
  store: Store,
  layer: Descriptor,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of decompressLayer(layer, store.read(layer))) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

/** Returns the diff id of a layer by an algorithm, and the size of its tar archive. */
export async function unpackedInfo(
  store: Store,
  layer: Descriptor,
  algorithm: DigestAlgorithm,
  signal?: AbortSignal,
): Promise<BlobInfo> {
  const digester = new Digester(algorithm);
  for await (const chunk of unpackedLayer(store, layer, signal)) digester.update(chunk);
  return { digest: digester.digest(), size: digester.size };
}
