import { createHash, hash, type Hash } from 'node:crypto';
import { LktError } from './errors.ts';

/** Algorithms of digests (OCI image-spec, descriptor.md, "Registered Algorithms"). */
export const DIGEST_ALGORITHMS = ['sha256', 'sha512'] as const;
/** The algorithm of a digest. */
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/**
 * A digest: `sha256:` and 64 lower-case hex digits, or `sha512:` and 128 (OCI image-spec,
 * descriptor.md, "Digests"). lkt makes SHA-256 digests, and verifies both.
 */
export type Digest = `${DigestAlgorithm}:${string}` & { readonly __digest: unique symbol };

const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/**
 * Parses a digest.
 * @throws DIGEST_INVALID, also for an algorithm other than SHA-256 and SHA-512
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new LktError('DIGEST_INVALID', `"${text}" is not a sha256 or sha512 digest`, {
    fix: 'write it as sha256: and 64 lower-case hex digits, or sha512: and 128',
  });
}

/** Reports whether `text` is a SHA-256 or SHA-512 digest. */
export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/** Reports whether `text` is a SHA-256 digest, for formats that have no other. */
export function isSha256(text: string): text is Digest {
  return isDigest(text) && digestAlgorithm(text) === 'sha256';
}

/** Returns the algorithm of a digest. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** Returns the hex digits. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** Returns the digest with these hex digits, whose number determines the algorithm. */
export function digestFromHex(hex: string): Digest | undefined {
  return DIGEST_ALGORITHMS.map((algorithm) => `${algorithm}:${hex}`).find((text) => isDigest(text));
}

/** Returns a digest as in-toto statements have it (attestation spec, "DigestSet"). */
export function digestSet(digest: Digest): Readonly<Record<string, string>> {
  return { [digestAlgorithm(digest)]: digestHex(digest) };
}

/**
 * Returns the digest of an in-toto `DigestSet`; undefined if it has none with a supported
 * algorithm.
 */
export function digestFromSet(set: Readonly<Record<string, unknown>>): Digest | undefined {
  return DIGEST_ALGORITHMS.map((algorithm) => `${algorithm}:${String(set[algorithm])}`).find(
    (text) => isDigest(text),
  );
}

/** Returns the digest of data; a string is hashed as UTF-8. */
export function digestOf(data: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${hash(algorithm, data)}` as Digest;
}

/** Reports whether data has a digest. */
export function hasDigest(data: Uint8Array, digest: Digest): boolean {
  return digestOf(data, digestAlgorithm(digest)) === digest;
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

/** An incremental digest. `digest()` may be called once, at the end. */
export class Digester {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;
  #size = 0;

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

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
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest;
  }
}
