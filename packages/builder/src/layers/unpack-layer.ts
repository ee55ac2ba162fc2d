import {
  decompressLayer,
  type Layer,
  explainLayerError,
  readTar,
  type Store,
  verifyDiffId,
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
  layer: Layer,
  directory: string,
  { store, canMakeDevices, signal }: UnpackLayerOptions,
): Promise<void> {
  const { descriptor } = layer;
  const archive = verifyDiffId(decompressLayer(descriptor, store.read(descriptor)), layer);
  try {
    await extractLayer(readTar(archive), directory, { canMakeDevices, signal });
  } catch (error) {
    throw await explainLayerError(store, descriptor, error);
  }
}
