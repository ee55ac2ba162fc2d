import type { Digest } from '@lkt/core';
import type { PublicKey } from '../keys/keys.ts';
import type { TrustedRoot } from '../sigstore/trusted-root.ts';

/** Who may have signed. A signature by anybody else is a rejection. */
export interface Trust {
  readonly keys?: readonly PublicKey[];
  readonly identities?: readonly Identity[];
  /** The authorities that identities and times are believed from. Needed for identities. */
  readonly root?: TrustedRoot | undefined;
  /** Whether signatures of keys must be in a transparency log that `root` names; default false. */
  readonly keysNeedLog?: boolean;
}

/** Both are compared as they are: no patterns. */
export interface Identity {
  /** The address of the OpenID Connect provider. */
  readonly issuer: string;
  /** The subject alternative name of the certificate: an address of a workflow, or an email address. */
  readonly subject: string;
}

export type SignedBy =
  | { readonly kind: 'key'; readonly fingerprint: Digest; readonly name: string }
  | ({ readonly kind: 'identity' } & Identity);

/** A signature that is good, by somebody who is trusted. */
export interface VerifiedSignature {
  readonly signer: SignedBy;
  /** The image. */
  readonly subject: Digest;
  /** What is said of the image; `https://sigstore.dev/cosign/sign/v1` if it is no more than a signature. */
  readonly predicateType: string;
  readonly predicate: unknown;
  /** When it was signed, if anybody but the signer says so. */
  readonly time?: Date;
  readonly logIndex?: number;
  /** Where the signature was found. */
  readonly source: string;
}

/** A signature that counts for nothing, and why. */
export interface Rejection {
  readonly source: string;
  /** In words, for people: `the log entry is of another signature`. */
  readonly reason: string;
}

export interface Verification {
  readonly subject: Digest;
  readonly signatures: readonly VerifiedSignature[];
  readonly rejections: readonly Rejection[];
}
