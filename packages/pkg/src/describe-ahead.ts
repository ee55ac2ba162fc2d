import type { Digest, Reporter } from '@lkt/core';
import { loadImage, type Platform, type Store } from '@lkt/oci';

/** What looks at the bases of an image for its SBOM while it is built. */
export interface DescribingAhead {
  /** Of the build: that a step is done starts it. */
  readonly reporter: Reporter;
  /** Ends it, when there will be no image. */
  giveUp(): void;
}

/**
 * Has the bases of an image looked at for its SBOM while it is built: what a build unpacks for the first time is also hashed for
 * the first time, file by file, which another processor can do. It begins when a step is done, since to unpack the base takes
 * the most memory.
 *
 * What goes wrong is left to who needs it afterwards.
 */
export function describeAhead(
  store: Store,
  bases: ReadonlyMap<string, Digest>,
  platform: Platform,
  reporter: Reporter,
): DescribingAhead {
  const stop = new AbortController();
  let hasBegun = false;
  return {
    giveUp: () => stop.abort(),
    reporter: {
      emit: (event) => {
        reporter.emit(event);
        if (hasBegun || event.kind !== 'done') return;
        hasBegun = true;
        hashLayers(store, bases, platform, stop.signal).catch(() => undefined);
      },
    },
  };
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
