import { digestOf, LktError } from '@lkt/core';
import type { Evidence } from '../evidence/evidence.ts';
import {
  evaluatePolicy,
  type NamedImage,
  trustFor,
  type TrustPolicy,
  type Verdict,
} from './policy.ts';
import { predicateProblem } from './predicates.ts';
import type { Rejection, Verification, VerifiedSignature } from '../verify/verified.ts';
import { verifyImage } from '../verify/verify.ts';

/** A place that has what is said of images. */
export interface EvidenceSource {
  /** For people: `the store`, or a registry. */
  readonly name: string;
  readonly collect: (image: NamedImage) => Promise<Evidence>;
}

/** What some policies say of an image, and what for. */
export interface Judgement {
  readonly image: NamedImage;
  readonly verdict: Verdict;
  /** What is good of whom one of the policies trusts, each once. */
  readonly signatures: readonly VerifiedSignature[];
  readonly rejections: readonly Rejection[];
  /** The places that were asked, in order. */
  readonly asked: readonly string[];
}

/**
 * Judges an image by several policies, each of which has to accept it. The places are asked one after the other, and only
 * while what is known does not do: a later one can add evidence, and never take any away. A place that does not answer
 * has nothing.
 */
export async function judgeImage(
  image: NamedImage,
  policies: readonly TrustPolicy[],
  sources: readonly EvidenceSource[],
  signal?: AbortSignal,
): Promise<Judgement> {
  const collected: Evidence[] = [];
  const asked: string[] = [];
  const silent: Rejection[] = [];
  let judged = await judge(image, policies, collected);
  for (const source of sources) {
    if (judged.verdict.accepted) break;
    signal?.throwIfAborted();
    try {
      collected.push(await source.collect(image));
      asked.push(source.name);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
      silent.push({ source: source.name, reason: error.message });
      continue;
    }
    judged = await judge(image, policies, collected);
  }
  const { verdict, signatures, rejections } = judged;
  const all = [...rejections, ...silent];
  if (verdict.accepted || silent.length === 0)
    return { image, verdict, signatures, rejections: all, asked };
  const unanswered = silent.map(({ source, reason }) => `${source} does not say: ${reason}`);
  const reasons = [...verdict.reasons, ...unanswered];
  return { image, verdict: { accepted: false, reasons }, signatures, rejections: all, asked };
}

type Judged = Pick<Judgement, 'verdict' | 'signatures' | 'rejections'>;

async function judge(
  image: NamedImage,
  policies: readonly TrustPolicy[],
  collected: readonly Evidence[],
): Promise<Judged> {
  const evidence = merge(collected);
  const verdicts: Verdict[] = [];
  const signatures = new Map<string, VerifiedSignature>();
  const rejected: Rejection[] = [];
  for (const policy of policies) {
    const trust = trustFor(policy, image);
    const verification =
      trust === undefined
        ? nothing(image)
        : believable(await verifyImage({ subject: image.digest, evidence, trust }), image);
    verdicts.push(evaluatePolicy(policy, image, verification));
    for (const one of verification.signatures)
      signatures.set(JSON.stringify([one.source, one.signer]), one);
    rejected.push(...verification.rejections);
  }
  const good = [...signatures.values()];
  // What one policy does not trust may be what another asks for.
  const used = new Set(good.map(({ source }) => source));
  const rejections = new Map(
    rejected
      .filter(({ source }) => !used.has(source))
      .map((one) => [`${one.source}: ${one.reason}`, one]),
  );
  return { verdict: combined(verdicts), signatures: good, rejections: [...rejections.values()] };
}

function nothing({ digest }: NamedImage): Verification {
  return { subject: digest, signatures: [], rejections: [] };
}

/** Without what cannot be true of the image, although somebody signed it. */
function believable(verification: Verification, image: NamedImage): Verification {
  const signatures: VerifiedSignature[] = [];
  const rejections = [...verification.rejections];
  for (const one of verification.signatures) {
    const reason = predicateProblem(one, image);
    if (reason === undefined) signatures.push(one);
    else rejections.push({ source: one.source, reason });
  }
  return { ...verification, signatures, rejections };
}

function combined(verdicts: readonly Verdict[]): Verdict {
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

function distinct<T>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

/** One thing in several places is one. */
function merge(collected: readonly Evidence[]): Evidence {
  const items = new Map(
    collected.flatMap(({ items: some }) => some).map((item) => [keyOf(item), item]),
  );
  const unreadable = new Map(
    collected
      .flatMap(({ unreadable: some }) => some)
      .map((one) => [`${one.source}: ${one.reason}`, one]),
  );
  return { items: [...items.values()], unreadable: [...unreadable.values()] };
}

function keyOf(item: Evidence['items'][number]): string {
  const annotations = item.kind === 'bundle' ? {} : item.annotations;
  return JSON.stringify([item.kind, annotations, digestOf(item.bytes)]);
}
