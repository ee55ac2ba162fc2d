import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import type { Digest } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import { keyHint } from '../bundle/bundle.ts';
import { identityOfCertificate } from '../verify/certificate-identity.ts';
import { readClaim } from '../verify/claim.ts';
import { preAuthEncoding } from '../bundle/dsse.ts';
import type { Evidence, EvidenceItem } from '../evidence/evidence.ts';
import type { SigningSession } from './signer.ts';
import { SIGNATURE_PREDICATE } from '../statement/statement.ts';
import { Unusable } from '../verify/unusable.ts';
import { bundleOf } from '../verify/verify.ts';

/** What a signer has said of an image before. */
export interface SignedBefore {
  /** Whether it is signed at all, and not only attested. */
  readonly isSigned: boolean;
  has(kind: EvidenceItem['kind'], payload: Buffer): boolean;
}

/**
 * Finds what is of the one who signs now: of the same key, or a certificate of the same authority for the same identity.
 * Only what would be signed again is asked for, so an entry of a log is not checked, but it has to be there if there is a
 * log now. Broken signatures, and those of others, are not there.
 */
export async function findSignedBefore(
  evidence: Evidence,
  subject: Digest,
  session: SigningSession,
): Promise<SignedBefore> {
  const found = new Set<string>();
  let isSigned = false;
  for (const item of evidence.items) {
    try {
      const { payload, predicateType } = await readOwn(item, subject, session);
      found.add(keyOf(item.kind, payload));
      isSigned ||= predicateType === SIGNATURE_PREDICATE;
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
    }
  }
  return { isSigned, has: (kind, payload) => found.has(keyOf(kind, payload)) };
}

function keyOf(kind: EvidenceItem['kind'], payload: Buffer): string {
  return `${kind} ${createHash('sha256').update(payload).digest('hex')}`;
}

/** @throws Unusable when it is not of the one who signs, or not of this image */
async function readOwn(
  item: EvidenceItem,
  subject: Digest,
  session: SigningSession,
): Promise<{ payload: Buffer; predicateType: string }> {
  const bundle = await bundleOf(item);
  const detached = item.kind === 'signature' ? item.bytes : undefined;
  const key = await keyOfSigner(bundle, session);
  const { predicateType } = readClaim(bundle, detached, subject);
  const { tlogEntries, timestampVerificationData } = bundle.verificationMaterial;
  const hasWitnesses =
    (!session.witnesses.log || tlogEntries.length > 0) &&
    (!session.witnesses.timestamp ||
      (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > 0);
  if (!hasWitnesses) throw new Unusable('it is not where it would be put now');
  const { data, signature, payload } = signedContent(bundle, detached);
  if (!verify('sha256', data, key, signature))
    throw new Unusable('the signature is not of this content, or of another key');
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
    if (hint !== '' && hint !== keyHint(material.publicKey)) throw new Unusable('another key');
    return material.publicKey.key;
  }
  const der =
    content.$case === 'certificate'
      ? content.certificate.rawBytes
      : content.$case === 'x509CertificateChain'
        ? content.x509CertificateChain.certificates[0]?.rawBytes
        : undefined;
  if (der === undefined) throw new Unusable('it is signed with a key');
  const [, authority] = material.chain;
  const certificate = new X509Certificate(der);
  const { subject, issuer } = await identityOfCertificate(der);
  const isSame =
    subject === material.identity.subject &&
    issuer === material.identity.issuer &&
    authority !== undefined &&
    certificate.checkIssued(authority) &&
    certificate.verify(authority.publicKey);
  if (!isSame) throw new Unusable('another identity, or of another authority');
  return certificate.publicKey;
}
