import type { Store } from '@lkt/oci';
import {
  type UnverifiedSigner,
  unverifiedSigners,
  collectFromStore,
  describePredicate,
} from '@lkt/sign';
import type { Digest } from '@lkt/core';

/** A signature of an image in the store. Not verified. */
export interface SignatureSummary {
  /** `signature`, `provenance`, `SBOM`, … */
  readonly of: string;
  /** The signer that the signature names: the identity in a certificate, or a key. */
  readonly by: string;
}

/**
 * Lists the signatures in the store of the given digests: an index and a manifest of one image.
 * Verifies nothing.
 */
export async function summarizeSignatures(
  store: Store,
  digests: readonly Digest[],
): Promise<readonly SignatureSummary[]> {
  const shown = new Map<string, SignatureSummary>();
  for (const digest of new Set(digests)) {
    const { signers, rejections } = await unverifiedSigners(
      digest,
      await collectFromStore(store, digest),
    );
    const isNamed = signers.filter(({ identity, key }) => (identity ?? key) !== undefined);
    // cosign's older format has no key hint, and accompanies the newer format for the same
    // predicate.
    const named = new Set(isNamed.map(({ predicateType }) => predicateType));
    for (const signer of signers) {
      if (!isNamed.includes(signer) && named.has(signer.predicateType)) continue;
      const by = signerOf(signer);
      const of = describePredicate(signer.predicateType);
      shown.set(`${of} ${by}`, { of, by });
    }
    for (const { reason } of rejections)
      shown.set(reason, { of: 'unreadable signature', by: `an unknown signer: ${reason}` });
  }
  return [...shown.values()];
}

function signerOf({ identity, key }: UnverifiedSigner): string {
  if (identity !== undefined) return `${identity.subject} (${identity.issuer})`;
  if (key === undefined) return 'a key';
  // cosign and lkt identify keys by their fingerprint.
  const bytes = Buffer.from(key, 'base64');
  return `the key ${bytes.length === 32 ? `sha256:${bytes.toString('hex')}` : key}`;
}
