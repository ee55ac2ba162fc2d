import type { Digest, Reporter } from '@lkt/core';
import { loadImage, type Platform, type Store } from '@lkt/oci';

/** A first step that takes longer has its base unpacked, most likely. */
const UNPACKING_MS = 100;

/** What looks at the bases of an image for its SBOM while it is built. */
export interface DescribingAhead {
  /** Of the build: what it tells starts it. */
  readonly reporter: Reporter;
  /** Ends it, when there will be no image. */
  giveUp(): void;
}

/**
 * Has the bases of an image looked into for its SBOM while it is built: what a build unpacks for the first time is also hashed
 * for the first time, file by file, which another processor can do. It begins with the unpacking, or when a step is done: before,
 * it would be in the way of what the first step waits for.
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
  let waiting: NodeJS.Timeout | undefined;
  let hasBegun = false;
  const begin = (): void => {
    clearTimeout(waiting);
    if (hasBegun) return;
    hasBegun = true;
    inspectLayers(store, bases, platform, stop.signal).catch(() => undefined);
  };
  return {
    giveUp: () => {
      clearTimeout(waiting);
      stop.abort();
    },
    reporter: {
      emit: (event) => {
        reporter.emit(event);
        if (event.kind === 'done') begin();
        else if (!hasBegun) waiting ??= setTimeout(begin, UNPACKING_MS).unref();
      },
    },
  };
}

async function inspectLayers(
  store: Store,
  bases: ReadonlyMap<string, Digest>,
  platform: Platform,
  signal: AbortSignal,
): Promise<void> {
  const { prefetchInspection } = await import('@lkt/attest');
  for (const digest of new Set(bases.values())) {
    const { manifest } = await loadImage(store, digest, platform);
    await prefetchInspection(store, manifest.layers, signal);
  }
}
