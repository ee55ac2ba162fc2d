import { type Digest, LktError } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import { checkSignature } from './check-signature.ts';
import { readSignedPredicate } from './signed-predicate.ts';
import type {
  CollectedSignatures,
  UnverifiedSignature,
} from '../referrers/collected-signatures.ts';
import { bundleFrom, parseBundle } from '../bundle/parse-bundle.ts';
import { bundleFromLayer } from '../bundle/bundle-from-layer.ts';
import { SIGNATURE_PREDICATE } from '../statement/statement.ts';
import { VerificationError } from './verification-error.ts';
import type { Rejection, TrustedSigners, Verification, VerifiedSignature } from './verification.ts';

/**
 * Verifies the signatures collected for an image against the trusted signers. Uses neither network
 * nor clock.
 *
 * An image without any signature has a result with an empty `signatures`; `requireSignature` and
 * every policy that needs one reject it.
 * @example
 * ```ts
 * const collected = await collectFromStore(store, subject);
 * const trust = { keys: [await readPublicKey('cosign.pub')] };
 * requireSignature(await verifyImage({ subject, collected, trust }), 'lkt/sshd');
 * ```
 */
export async function verifyImage(options: {
  readonly subject: Digest;
  readonly collected: CollectedSignatures;
  readonly trust: TrustedSigners;
}): Promise<Verification> {
  const { subject, collected, trust } = options;
  const signatures: VerifiedSignature[] = [];
  const rejections: Rejection[] = [...collected.unreadable];
  for (const item of collected.items) {
    try {
      signatures.push(await verifyItem(item, subject, trust));
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      rejections.push({ source: item.source, reason: error.message });
    }
  }
  return { subject, signatures, rejections };
}

/**
 * Requires a valid signature of an image. An attestation does not suffice: it states facts about an
 * image without approving it.
 * @param name of the image, for messages
 * @throws SIGNATURE_INVALID
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
  throw new LktError('SIGNATURE_INVALID', `${name} has no valid signature: ${first.reason}`, {
    detail: rejections.map(({ source, reason }) => `${source}: ${reason}`).join('\n'),
    fix: 'use an image that a trusted key or identity has signed',
  });
}

async function verifyItem(
  item: UnverifiedSignature,
  subject: Digest,
  trust: TrustedSigners,
): Promise<VerifiedSignature> {
  const bundle = await bundleOf(item);
  const payload = item.kind === 'signature' ? item.bytes : undefined;
  if (bundle.content.$case === 'messageSignature' && payload === undefined)
    throw new VerificationError('the bundle lacks the content that it signs');
  const { signer, time, logIndex } = await checkSignature(bundle, payload, trust);
  const signed = readSignedPredicate(bundle, payload, subject);
  return {
    signer,
    subject,
    ...signed,
    time,
    logIndex,
    source: item.source,
  };
}

/**
 * Returns the bundle of a signature of either form.
 * @throws VerificationError
 */
export async function bundleOf(item: UnverifiedSignature): Promise<Bundle> {
  return item.kind === 'bundle' ? parseBundle(item.bytes) : bundleFrom(bundleFromLayer(item));
}
