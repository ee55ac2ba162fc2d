import { availableParallelism } from 'node:os';
import { type Digest, Digester } from '@lkt/core';
import { type NativeHash, nativeHashes } from './native-hash.ts';

/** Shorter content is hashed sooner than another thread hears of it. */
const MIN_THREADED_BYTES = 4 * 2 ** 20;

/** Hashes what is written to it piece by piece; each must stay as it is until its `update` is done. */
export interface AsyncDigester extends Disposable {
  /** Bytes written so far. */
  readonly size: number;
  update(data: Uint8Array): Promise<void>;
  /** Ends it. */
  digest(): Promise<Digest>;
}

/**
 * Hashes content of so many bytes, or about so many, if it is long on other threads: whoever brings it then need not wait
 * for the hash of what came before.
 */
export async function createAsyncDigester(size: number | undefined): Promise<AsyncDigester> {
  if (size === undefined || size < MIN_THREADED_BYTES || availableParallelism() < 2)
    return new InlineDigester();
  const create = await nativeHashes();
  return create === undefined ? new InlineDigester() : new ThreadedDigester(create());
}

class InlineDigester implements AsyncDigester {
  readonly #digester = new Digester();

  get size(): number {
    return this.#digester.size;
  }

  async update(data: Uint8Array): Promise<void> {
    this.#digester.update(data);
  }

  async digest(): Promise<Digest> {
    return this.#digester.digest();
  }

  [Symbol.dispose](): void {}
}

class ThreadedDigester implements AsyncDigester {
  readonly #hash: NativeHash;
  #size = 0;
  /** What was asked for last: the memory of a hash is not for two threads at once, nor to be given back before. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(hash: NativeHash) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#size;
  }

  async update(data: Uint8Array): Promise<void> {
    this.#size += data.length;
    const done = this.#last.then(async () => this.#hash.update(data));
    this.#last = done;
    await done;
  }

  async digest(): Promise<Digest> {
    await this.#last;
    return `sha256:${this.#hash.digest().toString('hex')}` as Digest;
  }

  [Symbol.dispose](): void {
    const free = (): void => this.#hash.free();
    void this.#last.then(free, free);
  }
}
