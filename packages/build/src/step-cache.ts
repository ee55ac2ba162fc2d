import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, type Digest, digestHex, digestOf, isDigest, isErrno } from '@lkt/core';
import { type Descriptor, ENGINE_EPOCH, SOURCE_DATE_EPOCH, type Store } from '@lkt/oci';

/** What a step gave. */
export interface StepRecord {
  readonly diffId: Digest;
  /** The layer's blob; null for steps of stages that do not become an image, whose layers are directories only. */
  readonly descriptor: Descriptor | null;
}

/** Everything a step depends on, as JSON. Equal questions have equal answers. */
export type Question = Readonly<Record<string, unknown>>;

/**
 * Remembers what steps gave: `steps/<key>.json` in the store. A key is the hash of all that the step depends on: the
 * layers below by what they hold, not by how they came about, so that a step that gives the same again stops a rebuild.
 *
 * An entry is written as a whole or not at all. One that cannot be read is none. After a crash of the machine (not of a
 * process) only entries count that were `settle`d: what they speak of was on disk.
 */
export class StepCache {
  readonly #dir: string;
  readonly #store: Store;
  readonly #written = new Map<string, unknown>();

  /** @param dir where it is kept, in the file system of the store */
  constructor(store: Store, dir: string = store.dir) {
    this.#dir = join(dir, 'steps');
    this.#store = store;
  }

  /** The name of a question. */
  key(question: Question): string {
    const versioned = { ...question, engine: ENGINE_EPOCH, epoch: SOURCE_DATE_EPOCH };
    return digestHex(digestOf(canonicalJson(versioned)));
  }

  async record(key: string): Promise<StepRecord | undefined> {
    const value = await this.#read(key);
    return isStepRecord(value) ? value : undefined;
  }

  async store(key: string, record: StepRecord): Promise<void> {
    await this.#write(key, record);
  }

  /** The answer to a question about a file system or its files, such as the digest of what a COPY selects in a stage. */
  async recall(key: string): Promise<string | undefined> {
    const value = await this.#read(key);
    return typeof value === 'string' ? value : undefined;
  }

  async remember(key: string, answer: string): Promise<void> {
    await this.#write(key, answer);
  }

  /** Makes what was stored count after a crash of the machine. The caller has made sure that all layers are on disk. */
  async settle(): Promise<void> {
    const written = [...this.#written];
    this.#written.clear();
    for (const [key, value] of written) await this.#put(key, { value });
  }

  async #read(key: string): Promise<unknown> {
    let text: string;
    try {
      if (!(await this.#store.use(this.#path(key)))) return undefined;
      text = await readFile(this.#path(key), 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    try {
      const { value, boot } = JSON.parse(text) as { value?: unknown; boot?: unknown };
      return boot === undefined || boot === bootId() ? value : undefined;
    } catch {
      // Cut off by a crash.
      return undefined;
    }
  }

  async #write(key: string, value: unknown): Promise<void> {
    await this.#put(key, { value, boot: bootId() });
    this.#written.set(key, value);
  }

  async #put(key: string, content: unknown): Promise<void> {
    await this.#store.putFile(this.#path(key), JSON.stringify(content));
  }

  #path(key: string): string {
    return join(this.#dir, `${key}.json`);
  }
}

function isStepRecord(value: unknown): value is StepRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { diffId, descriptor } = value as Partial<StepRecord>;
  if (typeof diffId !== 'string' || !isDigest(diffId)) return false;
  return descriptor === null || (typeof descriptor === 'object' && isDigest(descriptor.digest));
}

let boot: string | undefined;

function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}
