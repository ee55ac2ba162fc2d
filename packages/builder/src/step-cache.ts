import { join } from 'node:path';
import { canonicalJson, digestHex, digestOf, isDigest } from '@lkt/core';
import { ENGINE_EPOCH, SOURCE_DATE_EPOCH, type Store } from '@lkt/oci';
import type { LayerRef } from './layers/layers.ts';

/** All inputs of a step or a lookup, as JSON. Equal fields have equal results. */
export type CacheKeyFields = Readonly<Record<string, unknown>>;

/**
 * Records of steps: `steps/<key>.json` in the store. A key is the hash of all inputs of the step.
 * The layers below count by content, so a step that produces the same layer again ends a rebuild.
 *
 * A record is written atomically and sealed. One without the seal of the store, such as one that a
 * system crash truncated, is ignored. The layer of a record may no longer exist.
 */
export class StepCache {
  readonly #dir: string;
  readonly #store: Store;

  /** @param dir its parent directory, in the file system of the store */
  constructor(store: Store, dir: string = store.dir) {
    this.#dir = join(dir, 'steps');
    this.#store = store;
  }

  /** Returns the key of fields. */
  key(fields: CacheKeyFields): string {
    const versioned = { ...fields, engine: ENGINE_EPOCH, epoch: SOURCE_DATE_EPOCH };
    return digestHex(digestOf(canonicalJson(versioned)));
  }

  async record(key: string): Promise<LayerRef | undefined> {
    const value = await this.#read(key);
    return isLayerRef(value) ? value : undefined;
  }

  /**
   * Returns a stored fact about a file system or its files, such as the digest of a COPY's
   * selection.
   */
  async recall(key: string): Promise<string | undefined> {
    const value = await this.#read(key);
    return typeof value === 'string' ? value : undefined;
  }

  /** Stores a record or a fact, unless it is stored already. */
  async store(key: string, value: LayerRef | string): Promise<void> {
    const text = JSON.stringify({ value });
    // Some file systems wait for the disk when a file is replaced.
    if ((await this.#text(key)) !== text) await this.#store.putSealed(this.#path(key), text);
  }

  async #read(key: string): Promise<unknown> {
    const text = await this.#text(key);
    return text === undefined ? undefined : (JSON.parse(text) as { value?: unknown }).value;
  }

  async #text(key: string): Promise<string | undefined> {
    const path = this.#path(key);
    return (await this.#store.use(path)) ? this.#store.sealed.read(path) : undefined;
  }

  #path(key: string): string {
    return join(this.#dir, `${key}.json`);
  }
}

function isLayerRef(value: unknown): value is LayerRef {
  if (typeof value !== 'object' || value === null) return false;
  const { diffId, descriptor } = value as Partial<LayerRef>;
  if (typeof diffId !== 'string' || !isDigest(diffId)) return false;
  return descriptor === null || (typeof descriptor === 'object' && isDigest(descriptor.digest));
}
