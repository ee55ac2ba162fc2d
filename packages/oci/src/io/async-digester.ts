import { availableParallelism } from 'node:os';
import { type Digest, type DigestAlgorithm, Digester } from '@lkt/core';
import { type NativeHash, nativeHashes } from './native-hash.ts';

/** For shorter content, hashing on the calling thread is faster than a handover. */
const MIN_THREADED_BYTES = 4 * 2 ** 20;

/** Hashes a stream of chunks. A chunk must not change until its `update` resolves. */
export interface AsyncDigester extends Disposable {
  /** Bytes hashed so far. */
  readonly size: number;
  update(data: Uint8Array): Promise<void>;
  /** Returns the digest. No `update` may follow. */
  digest(): Promise<Digest>;
}

/**
 * Returns a digester for content of about `size` bytes. Long content is hashed on the thread pool,
 * so the source need not wait for the hash of earlier chunks.
 */
export async function createAsyncDigester(
  size: number | undefined,
  algorithm: DigestAlgorithm = 'sha256',
): Promise<AsyncDigester> {
  if (size === undefined || size < MIN_THREADED_BYTES || availableParallelism() < 2)
    return new InlineDigester(algorithm);
  const create = await nativeHashes();
  return create === undefined
    ? new InlineDigester(algorithm)
    : new ThreadedDigester(algorithm, create(algorithm));
}

class InlineDigester implements AsyncDigester {
  readonly #digester: Digester;

  constructor(algorithm: DigestAlgorithm) {
    this.#digester = new Digester(algorithm);
  }

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
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: NativeHash;
  #size = 0;
  /** The last call. A state may be used by one thread at a time, and freed only when idle. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(algorithm: DigestAlgorithm, hash: NativeHash) {
    this.#algorithm = algorithm;
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
    return `${this.#algorithm}:${this.#hash.digest().toString('hex')}` as Digest;
  }

  [Symbol.dispose](): void {
    const free = (): void => this.#hash.free();
    void this.#last.then(free, free);
  }
}
