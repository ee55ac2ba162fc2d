import type { Digest } from '@lkt/core';
import { identityOfCertificate } from './certificate-identity.ts';
import { readSignedPredicate } from './signed-predicate.ts';
import type {
  CollectedSignatures,
  UnverifiedSignature,
} from '../referrers/collected-signatures.ts';
import { VerificationError } from './verification-error.ts';
import type { Identity, Rejection } from './verification.ts';
import { bundleOf } from './verify-image.ts';

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
  { items, unreadable }: CollectedSignatures,
): Promise<{
  readonly signers: readonly UnverifiedSigner[];
  readonly rejections: readonly Rejection[];
}> {
  const signers: UnverifiedSigner[] = [];
  const rejections: Rejection[] = [...unreadable];
  for (const item of items) {
    try {
      signers.push(await readSigner(item, subject));
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      rejections.push({ source: item.source, reason: error.message });
    }
  }
  return { signers, rejections };
}

async function readSigner(item: UnverifiedSignature, subject: Digest): Promise<UnverifiedSigner> {
  const bundle = await bundleOf(item);
  const payload = item.kind === 'signature' ? item.bytes : undefined;
  const { predicateType } = readSignedPredicate(bundle, payload, subject);
  const { content } = bundle.verificationMaterial;
  const signer = { predicateType, source: item.source };
  if (content.$case === 'publicKey') {
    const { hint } = content.publicKey;
    return { ...signer, ...(hint === '' ? {} : { key: hint }) };
  }
  const certificate =
    content.$case === 'certificate'
      ? content.certificate
      : content.x509CertificateChain.certificates[0];
  if (certificate === undefined) throw new VerificationError('no certificate');
  return { ...signer, identity: await identityOfCertificate(Buffer.from(certificate.rawBytes)) };
}
