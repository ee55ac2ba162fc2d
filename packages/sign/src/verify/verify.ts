import { type Digest, LktError } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import { checkSignature } from './check-signature.ts';
import { readClaim } from './claim.ts';
import type { Evidence, EvidenceItem } from '../evidence/evidence.ts';
import { bundleFrom, parseBundle } from '../bundle/parse-bundle.ts';
import { bundleOfLayer } from '../bundle/simple-bundle.ts';
import { SIGNATURE_PREDICATE } from '../statement/statement.ts';
import { Unusable } from './unusable.ts';
import type { Rejection, Trust, Verification, VerifiedSignature } from './verified.ts';

/**
 * Checks what was found beside an image against who is trusted. It asks nobody anything: not the network, not the clock.
 *
 * No signature at all is a verification without signatures, and so not one that anything may be built on:
 * `requireSignature`, and every policy, refuses it.
 */
export async function verifyImage(options: {
  readonly subject: Digest;
  readonly evidence: Evidence;
  readonly trust: Trust;
}): Promise<Verification> {
  const { subject, evidence, trust } = options;
  const signatures: VerifiedSignature[] = [];
  const rejections: Rejection[] = [...evidence.unreadable];
  for (const item of evidence.items) {
    try {
      signatures.push(await verifyItem(item, subject, trust));
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      rejections.push({ source: item.source, reason: error.message });
    }
  }
  return { subject, signatures, rejections };
}

/**
 * Refuses an image without a good signature, whether there is none, it was removed, or it counts for nothing. An
 * attestation is not one: who says what an image is made of has not said that it is theirs.
 * @param name of the image, for people
 * @throws LktError SIGNATURE_INVALID
 */
export function requireSignature({ signatures, rejections }: Verification, name: string): void {
  if (signatures.some(({ predicateType }) => predicateType === SIGNATURE_PREDICATE)) return;
  const [first] = rejections;
  if (first === undefined)
    throw new LktError(
      'SIGNATURE_INVALID',
      signatures.length === 0
        ? `${name} is not signed`
        : `${name} has attestations, but no signature`,
      { fix: 'sign it with `lkt pkg sign`, or use an image that is signed' },
    );
  throw new LktError('SIGNATURE_INVALID', `${name} has no signature that counts: ${first.reason}`, {
    detail: rejections.map(({ source, reason }) => `${source}: ${reason}`).join('\n'),
    fix: 'do not use it, unless you know why it is signed by somebody else',
  });
}

async function verifyItem(
  item: EvidenceItem,
  subject: Digest,
  trust: Trust,
): Promise<VerifiedSignature> {
  const bundle = await bundleOf(item);
  const payload = item.kind === 'signature' ? item.bytes : undefined;
  if (bundle.content.$case === 'messageSignature' && payload === undefined)
    throw new Unusable('it signs something that is not there');
  const { signer, time, logIndex } = await checkSignature(bundle, payload, trust);
  const claim = readClaim(bundle, payload, subject);
  return {
    signer,
    subject,
    ...claim,
    time,
    logIndex,
    source: item.source,
  };
}

/** @throws Unusable */
export async function bundleOf(item: EvidenceItem): Promise<Bundle> {
  return item.kind === 'bundle' ? parseBundle(item.bytes) : bundleFrom(bundleOfLayer(item));
}
