import { type Digest, digestOfStream, LktError } from '@lkt/core';
import { type Layer, type Store, writeTar } from '@lkt/oci';
import { layerEntries } from './layer-entries.ts';
import { unpackLayer } from './unpack-layer.ts';

/** Returns the digest of the archive of a layer's directory without writing it. */
export async function hashLayer(directory: string, signal?: AbortSignal): Promise<Digest> {
  return digestOfStream(writeTar(layerEntries(directory)), signal);
}

/** Reports whether a directory has the digest of its layer. An unreadable directory has not. */
export async function isWholeLayer(directory: string, layer: Digest): Promise<boolean> {
  try {
    return (await hashLayer(directory)) === layer;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}

/**
 * Reports whether a directory is as a layer of the store unpacks; undefined if that layer cannot be
 * unpacked.
 */
export async function isSameLayer(
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
