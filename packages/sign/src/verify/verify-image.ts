import type { Digest } from '@lkt/core';
import { checkSignature } from './check-signature.ts';
import { readSignedPredicate } from './signed-predicate.ts';
import type {
  CollectedSignatures,
  UnverifiedSignature,
} from '../referrers/collected-signatures.ts';
import { type ParsedSignature, parseSignature } from '../bundle/parse-signature.ts';
import { VerificationError } from './verification-error.ts';
import type { Rejection, TrustedSigners, Verification } from './verification.ts';

/**
 * Verifies the signatures collected for an image against the trusted signers. Uses neither network
 * nor clock.
 *
 * An image without any signature has a result with an empty `signatures`; every policy that needs
 * one rejects it.
 */
export async function verifyImage(options: {
  readonly subject: Digest;
  readonly collected: CollectedSignatures;
  readonly trust: TrustedSigners;
}): Promise<Verification> {
  const { subject, collected, trust } = options;
  const { results, rejections } = await readSignatures(collected, async (parsed, { source }) => {
    const { signer, claims, time, logIndex } = await checkSignature(parsed, trust);
    const signed = readSignedPredicate(parsed, subject);
    return { signer, claims, subject, ...signed, time, logIndex, source };
  });
  return { subject, signatures: results, rejections };
}

/** Parses and reads each signature. One that is invalid becomes a rejection. */
export async function readSignatures<T>(
  { items, unreadable }: CollectedSignatures,
  read: (parsed: ParsedSignature, item: UnverifiedSignature) => Promise<T>,
): Promise<{ readonly results: readonly T[]; readonly rejections: readonly Rejection[] }> {
  const results: T[] = [];
  const rejections: Rejection[] = [...unreadable];
  for (const item of items) {
    try {
      results.push(await read(await parseSignature(item), item));
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      rejections.push({ source: item.source, reason: error.message });
    }
  }
  return { results, rejections };
}
