import type { LktError } from '@lkt/core';

/**
 * The signatures found beside an image, unverified: any party with write access there could have
 * added or removed some.
 */
export interface CollectedSignatures {
  readonly items: readonly UnverifiedSignature[];
  /** Entries that could not be read as a signature, with the reason. Each counts as a rejection. */
  readonly unreadable: readonly { readonly source: string; readonly reason: string }[];
  /** Errors of places that could not be read at all, so that signatures may be missing. */
  readonly failures?: readonly LktError[];
}

/** A signature found beside an image. `source` says where, for messages. */
export type UnverifiedSignature =
  /** A Sigstore bundle, as JSON. */
  | { readonly kind: 'bundle'; readonly source: string; readonly bytes: Buffer }
  /**
   * cosign 2's form: a payload (`.sig`) or a DSSE envelope (`.att`), with verification material in
   * annotations.
   */
  | {
      readonly kind: 'signature' | 'attestation';
      readonly source: string;
      readonly bytes: Buffer;
      readonly annotations: Readonly<Record<string, string>>;
    };
