import { type Digest, Digester, LktError } from '@lkt/core';
import { writeTar } from '@lkt/oci';
import { layerEntries } from './layer-entries.ts';

/** Returns the digest of a layer's archive without writing it. */
export async function hashLayer(
  entries: ReturnType<typeof layerEntries>,
  signal?: AbortSignal,
): Promise<Digest> {
  const digester = new Digester();
  for await (const chunk of writeTar(entries)) {
    signal?.throwIfAborted();
    digester.update(chunk);
  }
  return digester.digest();
}

/** Reports whether a directory has the digest of its layer. An unreadable directory has not. */
export async function isWholeLayer(directory: string, layer: Digest): Promise<boolean> {
  try {
    return (await hashLayer(layerEntries(directory))) === layer;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}
