import type { Store } from '@lkt/oci';
import type { Context } from '../context/context.ts';
import type { LayerDirs } from '../layers/layer-dirs.ts';
import type { LayerRef } from '../layers/layers.ts';
import type { RemoteSteps } from '../remote-cache/remote-steps.ts';
import type { StepCache } from '../step-cache.ts';
import type { Job } from '../worker/job.ts';
import { type PlanResults, type ReadyStep, type StepSolver, walkPlan } from './plan-walk.ts';
import { RootfsProbe } from './rootfs-probe.ts';

/** The caches of this machine. */
export interface LocalCaches {
  readonly store: Store;
  readonly cache: StepCache;
  readonly layers: LayerDirs;
}

export interface LookupParts extends LocalCaches {
  readonly context: Context;
  /** Asked for steps that this machine does not have. */
  readonly remote?: RemoteSteps | undefined;
}

/**
 * Looks up the steps of a plan in the caches. Runs nothing.
 *
 * Layers of the remote cache are fetched into the store: those of the image if every step is known,
 * otherwise all of them, because the other steps may need them.
 */
export async function lookUpPlan(
  job: Job,
  parts: LookupParts,
  signal: AbortSignal | undefined,
): Promise<PlanResults> {
  const { store, cache, context, remote } = parts;
  const abort = new AbortController();
  const either = AbortSignal.any([abort.signal, ...(signal === undefined ? [] : [signal])]);
  const lookup = new CacheLookup({ ...parts, signal: either });
  const results = await walkPlan({ job, context, cache, solver: lookup, abort, signal: either });
  if (remote === undefined) return results;
  const needed = results.layers && new Set(results.layers.map(({ diffId }) => diffId));
  const fetched = await Promise.all(
    [...lookup.remoteRecords]
      .filter(([, { diffId }]) => needed === undefined || needed.has(diffId))
      .map(async ([key, record]) => {
        if (!(await remote.fetch(store, record, signal))) return false;
        await cache.store(key, record);
        return true;
      }),
  );
  // If a layer is missing, only steps that are now in the cache of this machine are known.
  if (fetched.includes(false)) return lookUpPlan(job, { ...parts, remote: undefined }, signal);
  return results;
}

/** Finds steps in the caches. */
class CacheLookup implements StepSolver {
  readonly probe: RootfsProbe;
  /** Records of the remote cache whose layers may not be in the store, by the keys of the steps. */
  readonly remoteRecords = new Map<string, LayerRef>();
  readonly #parts: LookupParts & { readonly signal: AbortSignal };

  constructor(parts: LookupParts & { readonly signal: AbortSignal }) {
    this.probe = new RootfsProbe(parts);
    this.#parts = parts;
  }

  async solve({ key, blob }: ReadyStep): Promise<LayerRef | undefined> {
    const layer = await cachedLayer(key, this.#parts);
    // Only a worker can make the blob of a layer that is a directory.
    if (layer !== undefined && (layer.descriptor !== null || !blob)) return layer;
    const { remote, signal } = this.#parts;
    const record = await remote?.find(key, signal);
    if (typeof record !== 'object') return undefined;
    this.remoteRecords.set(key, record);
    return record;
  }
}

/**
 * Returns the layer that this machine has for a step. Its descriptor is null if the layer is only a
 * directory.
 */
export async function cachedLayer(
  key: string,
  { store, cache, layers }: LocalCaches,
): Promise<LayerRef | undefined> {
  const record = await cache.record(key);
  if (record === undefined) return undefined;
  const { descriptor, diffId } = record;
  if (descriptor !== null && (await store.keep(descriptor.digest, descriptor.size))) return record;
  return (await layers.has(diffId)) ? { diffId, descriptor: null } : undefined;
}
