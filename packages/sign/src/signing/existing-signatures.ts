import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import type { Digest } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import { keyHint } from '../bundle/sign-statement.ts';
import { identityOfCertificate } from '../verify/certificate-identity.ts';
import { readSignedPredicate } from '../verify/signed-predicate.ts';
import { preAuthEncoding } from '../bundle/dsse.ts';
import type {
  CollectedSignatures,
  UnverifiedSignature,
} from '../referrers/collected-signatures.ts';
import type { SigningSession } from './signer.ts';
import { SIGNATURE_PREDICATE } from '../statement/statement.ts';
import { VerificationError } from '../verify/verification-error.ts';
import { bundleOf } from '../verify/verify-image.ts';

/** The earlier signatures of an image by the same signer. */
export interface ExistingSignatures {
  /** Whether there is a signature of the image, not only attestations. */
  readonly isSigned: boolean;
  has(kind: UnverifiedSignature['kind'], payload: Buffer): boolean;
}

/**
 * Finds signatures by the current signer: the same key, or a certificate for the same identity by
 * the same authority. They serve only to skip repeated signing, so log entries need not verify, but
 * must exist if the session has a log. Broken signatures and those of others are ignored.
 */
export async function findExistingSignatures(
  collected: CollectedSignatures,
  subject: Digest,
  session: SigningSession,
): Promise<ExistingSignatures> {
  const found = new Set<string>();
  let isSigned = false;
  for (const item of collected.items) {
    try {
      const { payload, predicateType } = await readOwn(item, subject, session);
      found.add(keyOf(item.kind, payload));
      isSigned ||= predicateType === SIGNATURE_PREDICATE;
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
    }
  }
  return { isSigned, has: (kind, payload) => found.has(keyOf(kind, payload)) };
}

function keyOf(kind: UnverifiedSignature['kind'], payload: Buffer): string {
  return `${kind} ${createHash('sha256').update(payload).digest('hex')}`;
}

/** @throws VerificationError if the signature is by another signer or of another image */
async function readOwn(
  item: UnverifiedSignature,
  subject: Digest,
  session: SigningSession,
): Promise<{ payload: Buffer; predicateType: string }> {
  const bundle = await bundleOf(item);
  const detached = item.kind === 'signature' ? item.bytes : undefined;
  const key = await keyOfSigner(bundle, session);
  const { predicateType } = readSignedPredicate(bundle, detached, subject);
  const { tlogEntries, timestampVerificationData } = bundle.verificationMaterial;
  const hasWitnesses =
    (!session.witnesses.log || tlogEntries.length > 0) &&
    (!session.witnesses.timestamp ||
      (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > 0);
  if (!hasWitnesses) throw new VerificationError('not logged or timestamped as it would be now');
  const { data, signature, payload } = signedContent(bundle, detached);
  if (!verify('sha256', data, key, signature))
    throw new VerificationError('the signature does not match the content and key');
  return { payload, predicateType };
}

function signedContent(
  { content }: Bundle,
  detached: Buffer | undefined,
): { data: Buffer; signature: Buffer; payload: Buffer } {
  if (content.$case === 'messageSignature') {
    const payload = detached ?? Buffer.of();
    return { data: payload, signature: content.messageSignature.signature, payload };
  }
  const { payload, payloadType, signatures } = content.dsseEnvelope;
  const [{ sig } = { sig: Buffer.of() }] = signatures;
  return { data: preAuthEncoding(payloadType, payload), signature: sig, payload };
}

async function keyOfSigner(
  { verificationMaterial: { content } }: Bundle,
  { material }: SigningSession,
): Promise<KeyObject> {
  if (material.kind === 'key') {
    const hint = content.$case === 'publicKey' ? content.publicKey.hint : undefined;
    if (hint !== '' && hint !== keyHint(material.publicKey))
      throw new VerificationError('another key');
    return material.publicKey.key;
  }
  const der =
    content.$case === 'certificate'
      ? content.certificate.rawBytes
      : content.$case === 'x509CertificateChain'
        ? content.x509CertificateChain.certificates[0]?.rawBytes
        : undefined;
  if (der === undefined) throw new VerificationError('signed with a key');
  const [, authority] = material.chain;
  const certificate = new X509Certificate(der);
  const { subject, issuer } = await identityOfCertificate(der);
  const isSame =
    subject === material.identity.subject &&
    issuer === material.identity.issuer &&
    authority !== undefined &&
    certificate.checkIssued(authority) &&
    certificate.verify(authority.publicKey);
  if (!isSame) throw new VerificationError('another identity or authority');
  return certificate.publicKey;
}
