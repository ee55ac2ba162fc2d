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
export type CacheKeyFields = Readonly<Record<string, unknown>>;

/**
 * Remembers what steps gave: `steps/<key>.json` in the store. A key is the hash of all that the step depends on: the
 * layers below by what they hold, not by how they came about, so that a step that gives the same again stops a rebuild.
 *
 * An entry is written as a whole or not at all. One that cannot be read, such as one that a crash of the machine has cut
 * short, is none. Whether what it speaks of is still there is for others to say.
 */
export class StepCache {
  readonly #dir: string;
  readonly #store: Store;

  /** @param dir where it is kept, in the file system of the store */
  constructor(store: Store, dir: string = store.dir) {
    this.#dir = join(dir, 'steps');
    this.#store = store;
  }

  /** The name of a question. */
  key(fields: CacheKeyFields): string {
    const versioned = { ...fields, engine: ENGINE_EPOCH, epoch: SOURCE_DATE_EPOCH };
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

  async #read(key: string): Promise<unknown> {
    const text = await this.#text(key);
    if (text === undefined) return undefined;
    try {
      return (JSON.parse(text) as { value?: unknown }).value;
    } catch {
      // Cut off by a crash.
      return undefined;
    }
  }

  async #text(key: string): Promise<string | undefined> {
    try {
      if (!(await this.#store.use(this.#path(key)))) return undefined;
      return await readFile(this.#path(key), 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async #write(key: string, value: unknown): Promise<void> {
    const text = JSON.stringify({ value });
    // To replace a file has some file systems wait for the disk.
    if ((await this.#text(key)) !== text) await this.#store.putFile(this.#path(key), text);
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
