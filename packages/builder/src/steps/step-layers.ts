import type { Store } from '@lkt/oci';
import type { RemoteStepCache } from '../remote-cache/remote-step-cache.ts';
import type { StepCache, StepRecord } from '../step-cache.ts';
import { type Layers, diffIds, type LayerRef } from '../layers/layers.ts';
import type { LayerDirs } from '../layers/layer-dirs.ts';
import type { PreparedStep } from './prepare-step.ts';
import { CacheMiss, type LayerOptions, type StepExecutor } from './step-executor.ts';

export interface StepLayersParts {
  readonly store: Store;
  readonly cache: StepCache;
  readonly layers: LayerDirs;
  readonly executor?: StepExecutor;
  /** What others have done, without an executor. */
  readonly remote?: RemoteStepCache;
}

/** The layer that a step gives. */
export interface StepLayer {
  /** The hash of everything the step depends on. */
  readonly key: string;
  readonly layer: LayerRef;
  /** Whether it was known, and nothing had to be done. */
  readonly cached: boolean;
}

/** The layers that steps give: from the cache, else made by the executor, by one process at a time. */
export class StepLayers {
  readonly #parts: StepLayersParts;
  readonly #noCache: boolean;
  readonly #signal: AbortSignal;
  readonly #remoteRecords = new Map<string, StepRecord>();

  constructor(parts: StepLayersParts, noCache: boolean, signal: AbortSignal) {
    this.#parts = parts;
    this.#noCache = noCache;
    this.#signal = signal;
  }

  /** What others say that steps gave, and is not in the store, by the keys of the steps. */
  get remoteRecords(): ReadonlyMap<string, StepRecord> {
    return this.#remoteRecords;
  }

  /** @throws CacheMiss if it is not known and there is no executor */
  async layer(prepared: PreparedStep, parent: Layers, options: LayerOptions): Promise<StepLayer> {
    const { blob } = options;
    const key = this.#parts.cache.key({ ...prepared.keyFields, parent: diffIds(parent) });
    const known = await this.#known(key, blob);
    if (known !== undefined) return { key, layer: known, cached: true };
    const { cache, store, executor } = this.#parts;
    if (executor === undefined) throw new CacheMiss();
    const make = async (): Promise<StepLayer> => {
      // Another process may have done it while this one waited.
      const other = await this.#known(key, blob);
      if (other !== undefined) return { key, layer: other, cached: true };
      const before = blob ? await cache.record(key) : undefined;
      const record = await prepared.execute(executor, { ...options, before });
      await cache.store(key, record);
      return { key, layer: record, cached: false };
    };
    // What others do is not taken then.
    if (this.#noCache) return make();
    const wait = { signal: this.#signal, timeoutMs: 24 * 3600 * 1000 };
    return store.withLock(`step-${key}`, make, wait);
  }

  /** The cached result, when all that it speaks of is still there. */
  async #known(key: string, blob: boolean): Promise<LayerRef | undefined> {
    if (this.#noCache) return undefined;
    const { remote } = this.#parts;
    if (remote === undefined) return this.#local(key, blob);
    const local = await this.#local(key, blob).catch((error: unknown) => {
      if (!(error instanceof CacheMiss)) throw error;
      return undefined;
    });
    if (local !== undefined) return local;
    const claim = await remote.find(key, this.#signal);
    if (typeof claim !== 'object') return undefined;
    this.#remoteRecords.set(key, claim);
    return claim;
  }

  async #local(key: string, blob: boolean): Promise<LayerRef | undefined> {
    const { cache, store, layers, executor } = this.#parts;
    const record = await cache.record(key);
    if (record === undefined) return undefined;
    const { descriptor, diffId } = record;
    const hasBlob = descriptor !== null && (await store.keep(descriptor.digest, descriptor.size));
    if (hasBlob) return record;
    if (!(await layers.has(diffId))) return undefined;
    if (!blob) return { diffId, descriptor: null };
    if (executor === undefined) throw new CacheMiss();
    const whole = await executor.withBlob(record);
    await cache.store(key, whole);
    return whole;
  }
}
