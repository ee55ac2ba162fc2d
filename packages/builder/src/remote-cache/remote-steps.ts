import { type Digest, digestOf, digestOfStream, LktError, type Reporter } from '@lkt/core';
import { type Descriptor, decompressLayer, MediaType, parseManifest, type Store } from '@lkt/oci';
import type { CacheLocation } from './location.ts';
import {
  MAX_RECORDS,
  type Part,
  parseRecords,
  partsOf,
  type StepFact,
  writeCache,
} from './records.ts';
import type { LayerRef } from '../layers/layers.ts';

const MAX_PART = 4 * 2 ** 20;

/**
 * Step records of other machines, in registries and layouts. Each part is read on demand, once. A
 * record is a claim: that a step with this key gave this layer. The layer is verified against its
 * digest; that the step gives it can only be verified by running the step.
 */
export class RemoteSteps {
  readonly #sources: readonly Source[];
  readonly #to: CacheLocation | undefined;
  readonly #reporter: Reporter;
  readonly #found = new Map<Digest, Source>();
  readonly #added = new Map<string, StepFact>();

  /** @param from in the order in which they are searched */
  constructor(from: readonly CacheLocation[], to: CacheLocation | undefined, reporter: Reporter) {
    this.#sources = from.map((location) => new Source(location, reporter));
    this.#to = to;
    this.#reporter = reporter;
  }

  /** True if there is a cache to import from. */
  get imports(): boolean {
    return this.#sources.length > 0;
  }

  /** True if records are exported. */
  get exports(): boolean {
    return this.#to !== undefined;
  }

  /**
   * Returns the claim for a key; its layer is not fetched yet. Never fails: an unreadable cache
   * counts as empty, with a warning.
   */
  async find(key: string, signal?: AbortSignal): Promise<StepFact | undefined> {
    for (const source of this.#sources) {
      const fact = await source.find(key, signal);
      if (fact === undefined) continue;
      if (typeof fact === 'object' && fact.descriptor !== null)
        this.#found.set(fact.descriptor.digest, source);
      return fact;
    }
    return undefined;
  }

  /**
   * Fetches the layer of a claim into the store. Returns false, with a warning, if it is missing or
   * does not match.
   */
  async fetch(
    store: Store,
    { diffId, descriptor }: LayerRef,
    signal?: AbortSignal,
  ): Promise<boolean> {
    if (descriptor === null) return false;
    const source = this.#found.get(descriptor.digest);
    if (source === undefined) return false;
    return source.guarded(`layer ${descriptor.digest}`, false, signal, async (location) => {
      if (!(await store.keep(descriptor.digest, descriptor.size)))
        await location.pull(store, descriptor, signal);
      const actual = await diffIdOf(store, descriptor, signal);
      if (actual === diffId) return true;
      throw new LktError('DIGEST_MISMATCH', `it unpacks to ${actual}, not to ${diffId}`);
    });
  }

  /** Adds a fact to the export, unless it is a layer without a blob. */
  add(key: string, fact: StepFact): void {
    if (typeof fact === 'string' || fact.descriptor !== null) this.#added.set(key, fact);
  }

  /**
   * Merges the exported records into the cache. Uploads only the layers that it lacks.
   * @throws LktError CONFIG_INVALID when the tag holds something else, and what registries throw
   */
  async push(store: Store, signal?: AbortSignal): Promise<void> {
    if (this.#to === undefined || this.#added.size === 0) return;
    const location = this.#to;
    const before = new Source(location, this.#reporter);
    const present = await before.all(signal);
    const facts = new Map<string, StepFact>();
    for (const [key, fact] of this.#added) {
      // The layer of an imported step that nothing needed may not be in the store.
      const isNear =
        typeof fact === 'string' ||
        (fact.descriptor !== null &&
          (await store.keep(fact.descriptor.digest, fact.descriptor.size)));
      if (isNear) facts.set(key, fact);
    }
    for (const [key, fact] of present)
      if (facts.size < MAX_RECORDS && !facts.has(key)) facts.set(key, fact);
    const { manifest, blobs } = writeCache(facts);
    for (const blob of blobs) await store.writeBytes(blob);
    await store.writeBytes(manifest);
    const descriptor = {
      mediaType: MediaType.ociManifest,
      digest: digestOf(manifest),
      size: manifest.length,
    };
    await location.push(store, descriptor, signal);
  }
}

/** One location, read on demand. */
class Source {
  readonly #location: CacheLocation;
  readonly #reporter: Reporter;
  readonly #read = new Map<string, Promise<ReadonlyMap<string, StepFact>>>();
  #parts: Promise<readonly Part[]> | undefined;

  constructor(location: CacheLocation, reporter: Reporter) {
    this.#location = location;
    this.#reporter = reporter;
  }

  async find(key: string, signal?: AbortSignal): Promise<StepFact | undefined> {
    this.#parts ??= this.guarded('the cache', [], signal, async () => {
      const parts = await this.#manifest(signal);
      if (parts === undefined) this.#warn('it does not exist yet');
      return parts ?? [];
    });
    for (const part of await this.#parts) {
      if (!key.startsWith(part.prefix)) continue;
      const fact = (await this.#records(part, signal)).get(key);
      if (fact !== undefined) return fact;
    }
    return undefined;
  }

  /** Returns all records. @throws LktError */
  async all(signal?: AbortSignal): Promise<ReadonlyMap<string, StepFact>> {
    const parts = (await this.#manifest(signal)) ?? [];
    const maps = await Promise.all(parts.map(async (part) => this.#records(part, signal)));
    return new Map(maps.flatMap((map) => [...map]));
  }

  /** Runs work whose failure is a warning, not a build failure. */
  async guarded<T>(
    what: string,
    otherwise: T,
    signal: AbortSignal | undefined,
    run: (location: CacheLocation) => Promise<T>,
  ): Promise<T> {
    try {
      return await run(this.#location);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof LktError) || error.code === 'DISK_FULL') throw error;
      this.#warn(`${what} is not used: ${error.message}`);
      return otherwise;
    }
  }

  /**
   * Returns undefined when the cache does not exist. @throws LktError CONFIG_INVALID when the tag
   * holds something else
   */
  async #manifest(signal: AbortSignal | undefined): Promise<readonly Part[] | undefined> {
    const bytes = await this.#location.manifest(signal);
    if (bytes === undefined) return undefined;
    let parts: readonly Part[] | undefined;
    try {
      parts = partsOf(parseManifest(bytes));
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
    }
    if (parts !== undefined) return parts;
    throw new LktError('CONFIG_INVALID', `${this.#location.name} is not a step cache`, {
      fix: 'use a tag of its own for the cache',
    });
  }

  #records(
    { prefix, descriptor }: Part,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, StepFact>> {
    let read = this.#read.get(prefix);
    if (read === undefined) {
      const none: ReadonlyMap<string, StepFact> = new Map();
      read = this.guarded('a part', none, signal, async (location) => {
        const { facts, bad } = parseRecords(await location.blob(descriptor, MAX_PART, signal));
        if (bad > 0) this.#warn(`${bad} records cannot be read`);
        return facts;
      });
      this.#read.set(prefix, read);
    }
    return read;
  }

  #warn(text: string): void {
    this.#reporter.emit({ kind: 'warning', text: `cache ${this.#location.name}: ${text}` });
  }
}

async function diffIdOf(
  store: Store,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Digest> {
  // Deflate expands by a factor of at most 1032.
  const maxBytes = descriptor.size * 1100 + 2 ** 20;
  return digestOfStream(decompressLayer(descriptor, store.read(descriptor), { maxBytes }), signal);
}
