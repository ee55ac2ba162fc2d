import { LktError } from '@lkt/core';
import type { CacheArea, PruneResult, PruneOptions, Store } from '@lkt/oci';
import { showSize } from '../flags/sizes.ts';
import { cacheAreas } from './cache-areas.ts';
import { cacheMaxSetting } from './environment.ts';
import type { Session } from './session.ts';

/** Prunes as `Store.prune` does; may also remove images of uncommitted sources. */
export async function pruneStore(
  store: Store,
  areas: readonly CacheArea[],
  options: PruneOptions,
): Promise<PruneResult> {
  const { removeDirectory } = await import('@lkt/builder');
  const images = options.images ?? isOfUncommitted;
  return store.prune(areas, { ...options, images }, removeDirectory);
}

/** Reports whether a tag names uncommitted sources, which no committed file can pin. */
function isOfUncommitted(reference: string): boolean {
  return /:[^/]*-dirty(?:-|$)/.test(reference);
}

/** Maximum delay of a build by this, in milliseconds. */
const MEASURE_TIMEOUT = 1000;

/**
 * Prunes the store to LKT_CACHE_MAX after a build. Keeps data used since this process started, or
 * in use by other processes. Does not wait for locks; a failure is only a warning.
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
      text: `the store takes ${showSize(left)}, more than LKT_CACHE_MAX=${value}; list its contents: lkt cache du -v 2`,
    });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    session.reporter.emit({
      kind: 'warning',
      text: `cannot clean up the store: ${error.message}`,
    });
  }
}
