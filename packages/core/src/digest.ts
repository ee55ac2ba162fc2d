import { createHash, type Hash } from 'node:crypto';
import { LktError } from './errors.ts';

/** `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = `sha256:${string}` & { readonly __digest: unique symbol };

const PATTERN = /^sha256:[0-9a-f]{64}$/;

/** @throws LktError DIGEST_INVALID for anything but a well-formed sha256 digest; other algorithms are not supported. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new LktError('DIGEST_INVALID', `"${text}" is not a sha256 digest`, {
      fix: 'write it as sha256: and 64 lower-case hex digits',
    });
  }
  return text;
}

export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/** The 64 hex digits. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}` as Digest;
}

/** Hashes what is written to it piece by piece. `digest()` ends it and may be called once. */
export class Digester {
  readonly #hash: Hash = createHash('sha256');
  #size = 0;

  update(data: Uint8Array): this {
    this.#hash.update(data);
    this.#size += data.length;
    return this;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }
}
