import { digestOf, LktError, uniqueBy } from '@lkt/core';
import type { CollectedSignatures } from '../referrers/collected-signatures.ts';
import {
  evaluatePolicy,
  type NamedImage,
  trustedSigners,
  type TrustPolicy,
  type Verdict,
} from './policy.ts';
import { predicateProblem } from './predicates.ts';
import type {
  Rejection,
  SignerId,
  Verification,
  VerifiedSignature,
} from '../verify/verification.ts';
import { verifyImage } from '../verify/verify-image.ts';
import { reasonLine } from '../verify/verification-error.ts';

/** A store or registry that may have signatures of an image. */
export interface SignatureSource {
  /** For messages: `the store`, or the registry's name. */
  readonly name: string;
  /**
   * Whether it is a registry or a mirror; default false. It is not asked for a name without a
   * registry, which is local.
   */
  readonly isRemote?: boolean;
  /** Yields signatures in parts. The rest is not requested once they suffice. */
  readonly collect: (image: NamedImage) => AsyncIterable<CollectedSignatures>;
}

/** The result of evaluating trust policies for an image. */
export interface PolicyResult {
  readonly image: NamedImage;
  readonly verdict: Verdict;
  /** Verified signatures by signers that one of the policies trusts, without duplicates. */
  readonly signatures: readonly VerifiedSignature[];
  readonly rejections: readonly Rejection[];
  /** Names of the queried sources, in order. */
  readonly asked: readonly string[];
}

/** Options of `evaluatePolicies`. */
export interface EvaluationOptions {
  readonly signal?: AbortSignal | undefined;
  /** Read each queried source to its end, to list every signature; default false. */
  readonly readAll?: boolean | undefined;
}

/**
 * Evaluates several policies for an image; each must accept it.
 *
 * Queries the sources in order until the signatures suffice. A further source can only add
 * signatures. An unreachable source counts as one without
 * signatures, and its error is a reason for the rejection.
 * @example
 * ```ts
 * const { verdict } = await evaluatePolicies(image, [policy], [storeSignatures(store)]);
 * if (!verdict.accepted) throw new LktError('SIGNATURE_INVALID', verdict.reasons.join('\n'));
 * ```
 */
export async function evaluatePolicies(
  image: NamedImage,
  policies: readonly TrustPolicy[],
  sources: readonly SignatureSource[],
  { signal, readAll = false }: EvaluationOptions = {},
): Promise<PolicyResult> {
  const checks = policies.map((policy) => new PolicyCheck(policy, image));
  const asked: string[] = [];
  const unreachable: Rejection[] = [];
  let verdict = combineVerdicts(checks);
  for (const source of sources) {
    if (verdict.accepted) break;
    if (source.isRemote === true && image.domain === undefined) continue;
    signal?.throwIfAborted();
    try {
      parts: for await (const part of source.collect(image)) {
        for (const { message } of part.failures ?? [])
          unreachable.push({ source: source.name, reason: reasonLine(message) });
        // One after another, since verification takes longer than anything else.
        for (const one of separate(part)) {
          let isNew = false;
          for (const check of checks) isNew = (await check.add(one)) || isNew;
          if (!isNew) continue;
          verdict = combineVerdicts(checks);
          if (verdict.accepted && !readAll) break parts;
        }
      }
      verdict = combineVerdicts(checks);
      asked.push(source.name);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
      unreachable.push({ source: source.name, reason: reasonLine(error.message) });
    }
  }
  const { signatures, rejections } = combineResults(checks);
  const all = [...rejections, ...unreachable];
  if (verdict.accepted || unreachable.length === 0)
    return { image, verdict, signatures, rejections: all, asked };
  const errors = unreachable.map(
    ({ source, reason }) => `cannot read signatures from ${source}: ${reason}`,
  );
  const reasons = [...verdict.reasons, ...errors];
  return { image, verdict: { accepted: false, reasons }, signatures, rejections: all, asked };
}

/** The evaluation of a policy for an image. Verifies each signature once. */
class PolicyCheck {
  readonly signatures: VerifiedSignature[] = [];
  readonly rejections: Rejection[] = [];
  readonly #policy: TrustPolicy;
  readonly #image: NamedImage;
  readonly #seen = new Set<string>();

  constructor(policy: TrustPolicy, image: NamedImage) {
    this.#policy = policy;
    this.#image = image;
  }

  /** Verifies the signatures of a part that no earlier part had. Reports whether any is valid. */
  async add({ items, unreadable }: CollectedSignatures): Promise<boolean> {
    const image = this.#image;
    const trust = trustedSigners(this.#policy, image);
    if (trust === undefined) return false;
    const fresh = uniqueBy(items, keyOf).filter((item) => !this.#seen.has(keyOf(item)));
    for (const item of fresh) this.#seen.add(keyOf(item));
    const collected = { items: fresh, unreadable };
    const verification = await verifyImage({ subject: image.digest, collected, trust });
    const { signatures, rejections } = rejectContradictions(verification, image);
    this.signatures.push(...signatures);
    this.rejections.push(...rejections);
    return signatures.length > 0;
  }

  /** Returns the verdict on the signatures so far. */
  verdict(): Verdict {
    const { signatures, rejections } = this;
    const verification = { subject: this.#image.digest, signatures, rejections };
    return evaluatePolicy(this.#policy, this.#image, verification);
  }
}

/** Returns a part as parts of one signature each; the first has all that is unreadable. */
function separate({ items, unreadable }: CollectedSignatures): readonly CollectedSignatures[] {
  return [{ items: [], unreadable }, ...items.map((item) => ({ items: [item], unreadable: [] }))];
}

function combineResults(
  checks: readonly PolicyCheck[],
): Pick<PolicyResult, 'rejections' | 'signatures'> {
  const signatures = uniqueBy(
    checks.flatMap((check) => check.signatures),
    ({ source, signer }) => JSON.stringify([source, signer]),
  );
  // A signature that one policy does not trust may satisfy another.
  const used = new Set(signatures.map(({ source }) => source));
  const rejections = uniqueBy(
    checks.flatMap((check) => check.rejections).filter(({ source }) => !used.has(source)),
    ({ source, reason }) => `${source}: ${reason}`,
  );
  return { signatures, rejections };
}

/** Moves signatures whose predicate contradicts the image to the rejections. */
function rejectContradictions(verification: Verification, image: NamedImage): Verification {
  const signatures: VerifiedSignature[] = [];
  const rejections = [...verification.rejections];
  for (const one of verification.signatures) {
    const reason = predicateProblem(one, image);
    if (reason === undefined) signatures.push(one);
    else rejections.push({ source: one.source, reason });
  }
  return { ...verification, signatures, rejections };
}

function combineVerdicts(checks: readonly PolicyCheck[]): Verdict {
  const verdicts = checks.map((check) => check.verdict());
  const reasons = verdicts.flatMap((one) => (one.accepted ? [] : one.reasons));
  if (verdicts.some(({ accepted }) => !accepted))
    return { accepted: false, reasons: [...new Set(reasons)] };
  const signed = verdicts.flatMap((one) => (one.accepted && one.because === 'signed' ? [one] : []));
  if (signed.length === 0) return { accepted: true, because: 'not required' };
  return {
    accepted: true,
    because: 'signed',
    signers: distinct(signed.flatMap(({ signers }) => signers)),
    rebuilders: distinct(signed.flatMap(({ rebuilders }) => rebuilders)),
  };
}

function distinct(signers: readonly SignerId[]): readonly SignerId[] {
  return uniqueBy(signers, (signer) => JSON.stringify(signer));
}

function keyOf(item: CollectedSignatures['items'][number]): string {
  const annotations = item.kind === 'bundle' ? {} : item.annotations;
  return JSON.stringify([item.kind, annotations, digestOf(item.bytes)]);
}
