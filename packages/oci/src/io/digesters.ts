import type { Digest, DigestAlgorithm } from '@lkt/core';
import { type AsyncDigester, createAsyncDigester } from './async-digester.ts';

/** Hashes a stream of chunks with several algorithms; see `AsyncDigester`. */
export class Digesters implements Disposable {
  readonly #all: ReadonlyMap<DigestAlgorithm, AsyncDigester>;
  #size = 0;

  private constructor(all: ReadonlyMap<DigestAlgorithm, AsyncDigester>) {
    this.#all = all;
  }

  /** Returns digesters for content of about `size` bytes. */
  static async create(
    algorithms: readonly DigestAlgorithm[],
    size: number | undefined,
  ): Promise<Digesters> {
    const all = new Map<DigestAlgorithm, AsyncDigester>();
    for (const item of algorithms) all.set(item, await createAsyncDigester(size, item));
    return new Digesters(all);
  }

  /** Bytes hashed so far. */
  get size(): number {
    return this.#size;
  }

  async update(data: Uint8Array): Promise<void> {
    this.#size += data.length;
    await Promise.all([...this.#all.values()].map(async (digester) => digester.update(data)));
  }

  /** Returns the digest of an algorithm that was given to `create`. */
  async digest(algorithm: DigestAlgorithm): Promise<Digest> {
    const digester = this.#all.get(algorithm);
    if (digester === undefined) throw new Error(`${algorithm} was not computed`);
    return digester.digest();
  }

  [Symbol.dispose](): void {
    for (const digester of this.#all.values()) digester[Symbol.dispose]();
  }
}
