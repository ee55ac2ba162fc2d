import { join } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
import { findLayer, type Layer, type Store } from '@lkt/oci';
import { namesIn } from '@lkt/oci/files';
import { hashLayer, isWholeLayer } from './layer-hash.ts';
import { unpackLayer } from './unpack-layer.ts';

/**
 * Reports whether the directory of an unpacked layer is as it was unpacked; undefined if that is
 * unknown: another program wrote its archive, and the store no longer has that.
 */
export async function isIntactLayer(
  directory: string,
  layer: Digest,
  store: Store,
): Promise<boolean | undefined> {
  if (await isWholeLayer(directory, layer)) return true;
  // Other programs write archives in other forms, so their directories have other digests.
  const found = await findLayer(store, layer);
  if (found !== undefined) return isSameLayer(directory, found, store);
  return isOfStep(store, layer) ? false : undefined;
}

/** Reports whether lkt made a layer, so that its archive is in the form of lkt. */
function isOfStep(store: Store, layer: Digest): boolean {
  const steps = join(store.dir, 'steps');
  return namesIn(steps).some(
    (name) => store.sealed.read(join(steps, name))?.includes(layer) === true,
  );
}

/**
 * Reports whether a directory is as a layer of the store unpacks; undefined if that layer cannot be
 * unpacked.
 */
async function isSameLayer(
  directory: string,
  layer: Layer,
  store: Store,
): Promise<boolean | undefined> {
  await using temp = await store.tempDir();
  const { signal } = new AbortController();
  // That of a worker, which decides about the modes of directories without an entry.
  const umask = process.umask(0o022);
  try {
    await unpackLayer(layer, temp.path, { store, canMakeDevices: true, signal });
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  } finally {
    process.umask(umask);
  }
  return isWholeLayer(directory, await hashLayer(temp.path));
}
