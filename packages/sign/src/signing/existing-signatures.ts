import { createHash, type KeyObject, verify } from 'node:crypto';
import type { Digest } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import { type ParsedSignature, signerCertificate } from '../bundle/parse-signature.ts';
import { signatureHash } from '../keys/keys.ts';
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
import { readSignatures } from '../verify/verify-image.ts';

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
  const { results } = await readSignatures(collected, async (parsed, { kind }) => {
    const { payload, predicateType } = await readOwn(parsed, subject, session);
    return { key: keyOf(kind, payload), predicateType };
  });
  const found = new Set(results.map(({ key }) => key));
  return {
    isSigned: results.some(({ predicateType }) => predicateType === SIGNATURE_PREDICATE),
    has: (kind, payload) => found.has(keyOf(kind, payload)),
  };
}

function keyOf(kind: UnverifiedSignature['kind'], payload: Buffer): string {
  return `${kind} ${createHash('sha256').update(payload).digest('hex')}`;
}

/** @throws VerificationError if the signature is by another signer or of another image */
async function readOwn(
  parsed: ParsedSignature,
  subject: Digest,
  session: SigningSession,
): Promise<{ payload: Buffer; predicateType: string }> {
  const { bundle } = parsed;
  const key = await keyOfSigner(bundle, session);
  const { predicateType } = readSignedPredicate(parsed, subject);
  const { tlogEntries, timestampVerificationData } = bundle.verificationMaterial;
  const hasWitnesses =
    (!session.witnesses.log || tlogEntries.length > 0) &&
    (!session.witnesses.timestamp ||
      (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > 0);
  if (!hasWitnesses) throw new VerificationError('not logged or timestamped as it would be now');
  const { data, signature, payload } = signedContent(parsed);
  if (!verify(signatureHash(key), data, key, signature))
    throw new VerificationError('the signature does not match the content and key');
  return { payload, predicateType };
}

function signedContent({ bundle: { content }, payload: detached = Buffer.of() }: ParsedSignature): {
  data: Buffer;
  signature: Buffer;
  payload: Buffer;
} {
  if (content.$case === 'messageSignature')
    return { data: detached, signature: content.messageSignature.signature, payload: detached };
  const { payload, payloadType, signatures } = content.dsseEnvelope;
  const signature = signatures[0]?.sig ?? Buffer.of();
  return { data: preAuthEncoding(payloadType, payload), signature, payload };
}

async function keyOfSigner(bundle: Bundle, { material }: SigningSession): Promise<KeyObject> {
  if (material.kind === 'key') {
    const { content } = bundle.verificationMaterial;
    const hint = content.$case === 'publicKey' ? content.publicKey.hint : undefined;
    if (hint !== '' && hint !== keyHint(material.publicKey))
      throw new VerificationError('another key');
    return material.publicKey.key;
  }
  const certificate = signerCertificate(bundle);
  if (certificate === undefined) throw new VerificationError('signed with a key');
  const [, authority] = material.chain;
  const { subject, issuer } = (await identityOfCertificate(certificate.raw)).identity;
  const isSame =
    subject === material.identity.subject &&
    issuer === material.identity.issuer &&
    authority !== undefined &&
    certificate.checkIssued(authority) &&
    certificate.verify(authority.publicKey);
  if (!isSame) throw new VerificationError('another identity or authority');
  return certificate.publicKey;
}
