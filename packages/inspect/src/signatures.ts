import type { Store } from '@lkt/oci';
import {
  type UnverifiedSigner,
  unverifiedSigners,
  collectFromStore,
  describePredicate,
} from '@lkt/sign';
import type { Digest } from '@lkt/core';

/** A signature that a store has beside an image. Nobody has checked it. */
export interface SignatureSummary {
  /** `signature`, `provenance`, `SBOM`, … */
  readonly of: string;
  /** Who says to have signed: a person or job of a certificate, or a key. */
  readonly by: string;
}

/** Of an image, its index or its manifest. */
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
    // cosign's older form does not name the key, and stands beside the other.
    const named = new Set(isNamed.map(({ predicateType }) => predicateType));
    for (const signer of signers) {
      if (!isNamed.includes(signer) && named.has(signer.predicateType)) continue;
      const by = signerOf(signer);
      const of = describePredicate(signer.predicateType);
      shown.set(`${of} ${by}`, { of, by });
    }
    for (const { reason } of rejections)
      shown.set(reason, { of: 'something unreadable', by: `nobody: ${reason}` });
  }
  return [...shown.values()];
}

function signerOf({ identity, key }: UnverifiedSigner): string {
  if (identity !== undefined) return `${identity.subject} (${identity.issuer})`;
  if (key === undefined) return 'a key';
  // cosign and lkt name keys by their fingerprints.
  const bytes = Buffer.from(key, 'base64');
  return `the key ${bytes.length === 32 ? `sha256:${bytes.toString('hex')}` : key}`;
}
