/**
 * What somebody put beside an image: nothing of it is known to be true, and whoever can write there could have put or
 * removed it.
 */
export interface Evidence {
  readonly items: readonly EvidenceItem[];
  /** What was there and could not be read as a signature, with the reason. It counts as a rejection. */
  readonly unreadable: readonly { readonly source: string; readonly reason: string }[];
}

export type EvidenceItem =
  /** A Sigstore bundle, as JSON. */
  | { readonly kind: 'bundle'; readonly source: string; readonly bytes: Buffer }
  /** cosign's older form: a payload (`.sig`) or a DSSE envelope (`.att`), and the rest in annotations. */
  | {
      readonly kind: 'signature' | 'attestation';
      readonly source: string;
      readonly bytes: Buffer;
      readonly annotations: Readonly<Record<string, string>>;
    };
