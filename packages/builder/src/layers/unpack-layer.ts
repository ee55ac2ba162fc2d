import { digestAlgorithm, LktError } from '@lkt/core';
import {
  decompressLayer,
  type Layer,
  explainLayerError,
  type AsyncDigester,
  createAsyncDigester,
  readTar,
  type Store,
} from '@lkt/oci';
import type { CreateOptions } from './create-entry.ts';
import { extractLayer } from './extract.ts';

interface UnpackLayerOptions extends Pick<CreateOptions, 'canMakeDevices'> {
  readonly store: Store;
  readonly signal: AbortSignal;
}

/**
 * Unpacks a layer of the store into an empty directory.
 * @throws LktError IMAGE_INVALID if its digest is not `diffId`, and the errors of the store and of
 * archives
 */
export async function unpackLayer(
  { diffId, descriptor }: Layer,
  directory: string,
  { store, canMakeDevices, signal }: UnpackLayerOptions,
): Promise<void> {
  using digester = await createAsyncDigester(descriptor.size, digestAlgorithm(diffId));
  const archive = hashed(decompressLayer(descriptor, store.read(descriptor)), digester);
  try {
    await extractLayer(readTar(archive), directory, { canMakeDevices, signal });
  } catch (error) {
    throw await explainLayerError(store, descriptor, error);
  }
  const actual = await digester.digest();
  if (actual !== diffId) {
    throw new LktError(
      'IMAGE_INVALID',
      `layer ${descriptor.digest} unpacks to ${actual}, and the config of its image says ${diffId}`,
    );
  }
}

/**
 * Hashes each chunk while the consumer uses it. The source may reuse a chunk's memory only after
 * the hash is done.
 */
async function* hashed(
  source: AsyncIterable<Uint8Array>,
  digester: AsyncDigester,
): AsyncGenerator<Uint8Array> {
  let last = Promise.resolve();
  for await (const chunk of source) {
    await last;
    last = digester.update(chunk);
    last.catch(() => undefined);
    yield chunk;
  }
  await last;
}
