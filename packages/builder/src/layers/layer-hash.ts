import { type Digest, digestOfStream, LktError } from '@lkt/core';
import { writeTar } from '@lkt/oci';
import { layerEntries } from './layer-entries.ts';

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
