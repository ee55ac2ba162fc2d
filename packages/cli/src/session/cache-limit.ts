import { LktError } from '@lkt/core';
import type { CacheArea, PruneResult, PruneOptions, Store } from '@lkt/oci';
import { showSize } from '../flags/sizes.ts';
import { cacheAreas } from './cache-areas.ts';
import { cacheMaxSetting } from './environment.ts';
import type { Session } from './session.ts';

/** As `Store.prune`; images of sources that were not committed may go too. */
export async function pruneStore(
  store: Store,
  areas: readonly CacheArea[],
  options: PruneOptions,
): Promise<PruneResult> {
  const { removeDirectory } = await import('@lkt/builder');
  const images = options.images ?? isOfUncommitted;
  return store.prune(areas, { ...options, images }, removeDirectory);
}

/** Tags of sources that were not committed; nothing that is committed can name them. */
function isOfUncommitted(reference: string): boolean {
  return /:[^/]*-dirty(?:-|$)/.test(reference);
}

/** Milliseconds that a build may take longer because of it. */
const MEASURE_TIMEOUT = 1000;

/**
 * Holds the store to LKT_CACHE_MAX after something was built. What was used since this process began stays, and so does
 * what other processes use. It does not wait, and its failure is none of the build's.
 */
export async function enforceCacheMax(session: Session, store: Store): Promise<void> {
  const { bytes: max, value } = cacheMaxSetting(session.environment, store.dir);
  if (max === undefined) return;
  const { isStoreWellBelow } = await import('@lkt/oci');
  if (isStoreWellBelow(store.dir, max)) return;
  try {
    const { left } = await pruneStore(store, await cacheAreas(), {
      keepBytes: max,
      since: Date.now() - process.uptime() * 1000,
      sizingTimeoutMs: MEASURE_TIMEOUT,
      lockTimeoutMs: MEASURE_TIMEOUT,
      isOnlyAbove: true,
    });
    if (left <= max) return;
    session.reporter.emit({
      kind: 'warning',
      text: `the store takes ${showSize(left)}, more than LKT_CACHE_MAX=${value}; see what does: lkt cache du -v 2`,
    });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    session.reporter.emit({
      kind: 'warning',
      text: `the store is not cleaned up: ${error.message}`,
    });
  }
}
