import { createHash, hash, type Hash } from 'node:crypto';
import { LktError } from './errors.ts';

/**
 * A SHA-256 digest: `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md,
 * "Digests").
 */
export type Digest = `sha256:${string}` & { readonly __digest: unique symbol };

const PATTERN = /^sha256:[0-9a-f]{64}$/;

/**
 * Parses a digest.
 * @throws DIGEST_INVALID if `text` is not a SHA-256 digest; other algorithms are not supported
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new LktError('DIGEST_INVALID', `"${text}" is not a sha256 digest`, {
      fix: 'write it as sha256: and 64 lower-case hex digits',
    });
  }
  return text;
}

/** Reports whether `text` is a SHA-256 digest. */
export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/** Returns the 64 hex digits. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** Returns the SHA-256 digest of data; a string is hashed as UTF-8. */
export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', data)}` as Digest;
}

/** Returns the SHA-256 digest of a stream. */
export async function digestOfStream(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<Digest> {
  const digester = new Digester();
  for await (const chunk of source) {
    signal?.throwIfAborted();
    digester.update(chunk);
  }
  return digester.digest();
}

/** An incremental SHA-256. `digest()` may be called once, at the end. */
export class Digester {
  readonly #hash: Hash = createHash('sha256');
  #size = 0;

  update(data: Uint8Array): this {
    this.#hash.update(data);
    this.#size += data.length;
    return this;
  }

  /** Yields the chunks of a stream, and hashes them on the way. */
  async *through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.update(chunk);
      yield chunk;
    }
  }

  /** Bytes hashed so far. */
  get size(): number {
    return this.#size;
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }
}
