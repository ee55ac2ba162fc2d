import { type Digest, Digester, LktError } from '@lkt/core';
import { decompressLayer, type Descriptor, layerError, readTar, type Store } from '@lkt/oci';
import { extractLayer } from './extract.ts';

export interface UnpackLayerOptions {
  readonly store: Store;
  /** As for `extractLayer`. */
  readonly canMakeDevices: boolean;
  readonly signal: AbortSignal;
}

/**
 * Unpacks a layer of the store into an empty directory.
 * @throws LktError IMAGE_INVALID if it is not what `diffId` says, and whatever reading the store or the archive throws
 */
export async function unpackLayer(
  { diffId, descriptor }: { readonly diffId: Digest; readonly descriptor: Descriptor },
  directory: string,
  { store, canMakeDevices, signal }: UnpackLayerOptions,
): Promise<void> {
  const digester = new Digester();
  const archive = hashed(decompressLayer(descriptor, store.read(descriptor)), digester);
  try {
    await extractLayer(readTar(archive), directory, { canMakeDevices, signal });
  } catch (error) {
    throw await layerError(store, descriptor, error);
  }
  const actual = digester.digest();
  if (actual !== diffId) {
    throw new LktError(
      'IMAGE_INVALID',
      `layer ${descriptor.digest} unpacks to ${actual}, and the config of its image says ${diffId}`,
    );
  }
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  digester: Digester,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk);
    yield chunk;
  }
}
