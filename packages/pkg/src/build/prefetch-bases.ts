import { setTimeout } from 'node:timers/promises';
import type { Digest } from '@lkt/core';
import { loadImage, type Platform, type Store } from '@lkt/oci';

/** Until then, most builds have unpacked their bases, or ended. */
const START_MS = 100;

/**
 * Uses an idle processor during a build: loads what writes SBOMs, and inspects the base images for
 * them. Ignores errors, since the SBOM reads missing entries again.
 * @param signal ends it, because the build failed
 */
export async function prefetchBases(
  store: Store,
  bases: ReadonlyMap<string, Digest>,
  platform: Platform,
  signal: AbortSignal,
): Promise<void> {
  try {
    await setTimeout(START_MS, undefined, { signal, ref: false });
    await import('../attest/attestation-writer.ts');
    const { prefetchInspection } = await import('@lkt/attest');
    for (const digest of new Set(bases.values())) {
      const { manifest } = await loadImage(store, digest, platform);
      await prefetchInspection(store, manifest.layers, signal);
    }
  } catch {
    // It occurs again when the SBOM is written.
  }
}
