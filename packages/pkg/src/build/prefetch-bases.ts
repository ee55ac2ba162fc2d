import type { Digest, Reporter } from '@lkt/core';
import { loadImage, type Platform, type Store } from '@lkt/oci';

/** A first step that takes longer is probably unpacking its base. */
const UNPACKING_MS = 100;

/** A running prefetch of the base images' contents. */
export interface InspectionPrefetch {
  /** The reporter for the build; its events start the prefetch. */
  readonly reporter: Reporter;
  /** Stops the prefetch, because the build failed. */
  stop(): void;
}

/**
 * Uses an idle processor during the build: loads what writes SBOMs, and inspects the base images
 * for them. Inspection starts at the first finished step, or when the first step takes long:
 * earlier, it would compete with the unpacking of the bases. Ignores errors, since the SBOM reads
 * missing entries again.
 */
export function prefetchBases(
  store: Store,
  bases: ReadonlyMap<string, Digest>,
  platform: Platform,
  reporter: Reporter,
): InspectionPrefetch {
  const stop = new AbortController();
  let waiting: NodeJS.Timeout | undefined;
  let hasBegun = false;
  let isLoading = false;
  // Modules load while the engine works.
  const load = (): void => {
    if (isLoading) return;
    isLoading = true;
    import('../attest/attestation-writer.ts').catch(() => undefined);
  };
  const begin = (): void => {
    clearTimeout(waiting);
    if (hasBegun) return;
    hasBegun = true;
    inspectLayers(store, bases, platform, stop.signal).catch(() => undefined);
  };
  return {
    stop: () => {
      clearTimeout(waiting);
      stop.abort();
    },
    reporter: {
      emit: (event) => {
        reporter.emit(event);
        load();
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
