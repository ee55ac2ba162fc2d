import type { Digest } from '@lkt/core';
import { loadImage, type Platform, type Store } from '@lkt/oci';

/**
 * Has the bases of an image looked at for its SBOM while it is built: what a build unpacks for the first time is also hashed for
 * the first time, file by file, which another processor can do.
 *
 * What goes wrong is left to who needs it afterwards.
 * @returns what ends it before that, when there will be no image
 */
export function describeAhead(
  store: Store,
  bases: ReadonlyMap<string, Digest>,
  platform: Platform,
): () => void {
  const stop = new AbortController();
  hashLayers(store, bases, platform, stop.signal).catch(() => undefined);
  return () => stop.abort();
}

async function hashLayers(
  store: Store,
  bases: ReadonlyMap<string, Digest>,
  platform: Platform,
  signal: AbortSignal,
): Promise<void> {
  const { hashLayersAhead } = await import('@lkt/attest');
  for (const digest of new Set(bases.values())) {
    const { manifest } = await loadImage(store, digest, platform);
    await hashLayersAhead(store, manifest.layers, signal);
  }
}
