import type { Digest } from '@lkt/core';
import type { PublicKey } from '../keys/keys.ts';
import type { TrustedRoot } from '../sigstore/trusted-root.ts';
import type { Claims, Identity } from './certificate-identity.ts';
import type { TrustedIdentity } from './trusted-identity.ts';

/** The trusted signers. A signature by any other signer is a rejection. */
export interface TrustedSigners {
  readonly keys?: readonly PublicKey[];
  readonly identities?: readonly TrustedIdentity[];
  /** Trusted root for identities and times. Required for identities. */
  readonly root?: TrustedRoot | undefined;
  /** Whether signatures by keys must be in a log of `root`; default false. */
  readonly keysNeedLog?: boolean;
}

/** A signer: a key by its fingerprint, or an identity. */
export type SignerId =
  | { readonly kind: 'key'; readonly fingerprint: Digest; readonly name: string }
  | ({ readonly kind: 'identity' } & Identity);

/** Returns the signer that a key is. */
export function signerOfKey({ fingerprint, name }: PublicKey): SignerId {
  return { kind: 'key', fingerprint, name };
}

/** A valid signature by a trusted signer. */
export interface VerifiedSignature {
  readonly signer: SignerId;
  /** Claims in the signer's certificate; undefined for a key. */
  readonly claims?: Claims;
  /** Digest of the image. */
  readonly subject: Digest;
  /** Type of the statement; `https://sigstore.dev/cosign/sign/v1` for a plain signature. */
  readonly predicateType: string;
  readonly predicate: unknown;
  /** Repositories that the signer named with the image; none in some forms. */
  readonly repositories: readonly string[];
  /** Signing time, if a log or timestamp authority confirms it. */
  readonly time?: Date;
  readonly logIndex?: number;
  /** Location of the signature, for messages. */
  readonly source: string;
}

/** An invalid or untrusted signature, with the reason. */
export interface Rejection {
  readonly source: string;
  /** For messages: `the log entry belongs to another signature`. */
  readonly reason: string;
}

/** The result of verifying an image's signatures. */
export interface Verification {
  readonly subject: Digest;
  readonly signatures: readonly VerifiedSignature[];
  readonly rejections: readonly Rejection[];
}
