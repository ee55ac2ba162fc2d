import type { Digest } from '@lkt/core';
import { identityOfCertificate } from '../verify/certificate-identity.ts';
import { readClaim } from '../verify/claim.ts';
import type { Evidence, EvidenceItem } from '../evidence/evidence.ts';
import { Unusable } from '../verify/unusable.ts';
import type { Identity, Rejection } from '../verify/verified.ts';
import { bundleOf } from '../verify/verify.ts';

/** What a signature says of itself, which nobody has checked. */
export interface ClaimedSignature {
  /** Of a certificate; undefined for a key. */
  readonly identity?: Identity;
  /** How the bundle calls the key, if it does. */
  readonly key?: string;
  readonly predicateType: string;
  readonly source: string;
}

/** Who says to have signed an image, to show what is there. Whether it is true, `verifyImage` finds out. */
export async function claimedSigners(
  subject: Digest,
  { items, unreadable }: Evidence,
): Promise<{
  readonly claims: readonly ClaimedSignature[];
  readonly rejections: readonly Rejection[];
}> {
  const claims: ClaimedSignature[] = [];
  const rejections: Rejection[] = [...unreadable];
  for (const item of items) {
    try {
      claims.push(await claimOf(item, subject));
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      rejections.push({ source: item.source, reason: error.message });
    }
  }
  return { claims, rejections };
}

async function claimOf(item: EvidenceItem, subject: Digest): Promise<ClaimedSignature> {
  const bundle = await bundleOf(item);
  const payload = item.kind === 'signature' ? item.bytes : undefined;
  const { predicateType } = readClaim(bundle, payload, subject);
  const { content } = bundle.verificationMaterial;
  const claim = { predicateType, source: item.source };
  if (content.$case === 'publicKey') {
    const { hint } = content.publicKey;
    return { ...claim, ...(hint === '' ? {} : { key: hint }) };
  }
  const certificate =
    content.$case === 'certificate'
      ? content.certificate
      : content.x509CertificateChain.certificates[0];
  if (certificate === undefined) throw new Unusable('it has no certificate');
  return { ...claim, identity: await identityOfCertificate(Buffer.from(certificate.rawBytes)) };
}
