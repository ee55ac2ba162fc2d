import type { Digest } from '@lkt/core';
import { certificatesOf } from '../bundle/parse-signature.ts';
import { type Identity, identityOfCertificate } from './certificate-identity.ts';
import { readSignedPredicate } from './signed-predicate.ts';
import type { CollectedSignatures } from '../referrers/collected-signatures.ts';
import { VerificationError } from './verification-error.ts';
import type { Rejection } from './verification.ts';
import { readSignatures } from './verify-image.ts';

/** The signer that a signature names. Not verified. */
export interface UnverifiedSigner {
  /** Identity in the certificate; undefined for a key. */
  readonly identity?: Identity;
  /** The bundle's hint for the key, if it has one. */
  readonly key?: string;
  readonly predicateType: string;
  readonly source: string;
}

/** Lists the signers that an image's signatures name, for display. `verifyImage` verifies them. */
export async function unverifiedSigners(
  subject: Digest,
  collected: CollectedSignatures,
): Promise<{
  readonly signers: readonly UnverifiedSigner[];
  readonly rejections: readonly Rejection[];
}> {
  const { results, rejections } = await readSignatures(collected, async (parsed, { source }) => {
    const { predicateType } = readSignedPredicate(parsed, subject);
    const signer: UnverifiedSigner = { predicateType, source };
    const { content } = parsed.bundle.verificationMaterial;
    if (content.$case === 'publicKey') {
      const { hint } = content.publicKey;
      return hint === '' ? signer : { ...signer, key: hint };
    }
    const [leaf] = certificatesOf(parsed.bundle);
    if (leaf === undefined) throw new VerificationError('no certificate');
    const { identity } = await identityOfCertificate(leaf);
    return { ...signer, identity };
  });
  return { signers: results, rejections };
}
