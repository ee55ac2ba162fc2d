import { type Digest, uniqueBy } from '@lkt/core';
import { familiarReference, type Reference } from '@lkt/oci';
import { type ImagePattern, isRepository } from './image-pattern.ts';
import type { PublicKey } from '../keys/keys.ts';
import { REBUILD_PREDICATE, rebuildProblem } from '../statement/rebuild.ts';
import { SIGNATURE_PREDICATE } from '../statement/statement.ts';
import type { TrustedRoot } from '../sigstore/trusted-root.ts';
import {
  describeIdentity,
  identityKey,
  identityProblem,
  type TrustedIdentity,
} from '../verify/trusted-identity.ts';
import {
  type SignerId,
  signerOfKey,
  type TrustedSigners,
  type Verification,
  type VerifiedSignature,
} from '../verify/verification.ts';

/** Rules that say which images need whose signatures. docs/trust.md describes the fields. */
export interface TrustPolicy {
  /** Location of the policy, for messages: `trust.yml:1`. */
  readonly name: string;
  /** Images that need a signature or a local build, whether a rule covers them or not. */
  readonly required: readonly ImagePattern[];
  /** Exceptions to `required`. A rule for the image takes precedence. */
  readonly unsigned: readonly ImagePattern[];
  readonly rules: readonly TrustRule[];
  /** Trusted root for identities and times. Without one, no signature by an identity counts. */
  readonly root?: TrustedRoot;
}

/** A rule of a trust policy. All rules that match an image must be satisfied. */
interface TrustRule {
  /** Location of the rule, for messages. */
  readonly name: string;
  readonly images: readonly ImagePattern[];
  /** Whether signatures must be for the image's repository; default false. */
  readonly bindRepository?: boolean;
  /** SignerRequirement of the image itself. */
  readonly signers?: SignerRequirement;
  /** SignerRequirement of a statement that a rebuild from source produced the same image. */
  readonly rebuilders?: SignerRequirement;
}

/** A number of distinct signers out of a list. */
export interface SignerRequirement {
  readonly threshold: number;
  readonly keys: readonly PublicKey[];
  readonly identities: readonly TrustedIdentity[];
}

/** The decision of a policy about one image. */
export type Verdict =
  | { readonly accepted: true; readonly because: 'not required' }
  | {
      readonly accepted: true;
      readonly because: 'signed';
      /** Without duplicates. */
      readonly signers: readonly SignerId[];
      readonly rebuilders: readonly SignerId[];
    }
  | { readonly accepted: false; readonly reasons: readonly string[] };

/** An image with the name under which it is used. */
export type NamedImage = Reference & { readonly digest: Digest };

/**
 * Returns the signers that a policy needs for an image, or undefined if it needs no signature. An
 * image that needs a signature but has no rule gets an empty set of signers, which nothing
 * satisfies.
 */
export function trustedSigners(policy: TrustPolicy, image: NamedImage): TrustedSigners | undefined {
  const rules = rulesFor(policy, image);
  if (rules.length === 0 && !isRequired(policy, image)) return undefined;
  const all = rules.flatMap(({ signers, rebuilders }) =>
    [signers, rebuilders].flatMap((some) => some ?? []),
  );
  const keys = all.flatMap((some) => some.keys);
  const identities = all.flatMap((some) => some.identities);
  return {
    keys: uniqueBy(keys, ({ fingerprint }) => fingerprint),
    identities: uniqueBy(identities, identityKey),
    root: policy.root,
  };
}

/**
 * Evaluates one policy. Every rule that covers the image must be satisfied. More signatures never
 * reduce the count, so nothing that a third party adds beside an image can make it fail; order does
 * not matter either.
 * @param verification of the image's digest, with the signers of `trustedSigners`
 */
export function evaluatePolicy(
  policy: TrustPolicy,
  image: NamedImage,
  verification: Verification,
): Verdict {
  const rules = rulesFor(policy, image);
  if (rules.length === 0) {
    if (!isRequired(policy, image)) return { accepted: true, because: 'not required' };
    const name = familiarReference({ domain: image.domain, path: image.path });
    return {
      accepted: false,
      reasons: [
        `${policy.name} requires a signature of ${name}, but has no rule that names its signers`,
      ],
    };
  }
  // A signature of another image never counts, even a verified one.
  const own = verification.signatures.filter(({ subject }) => subject === image.digest);
  const signatures = own.filter(({ predicateType }) => predicateType === SIGNATURE_PREDICATE);
  const rebuilds = own.filter(({ predicateType }) => predicateType === REBUILD_PREDICATE);
  const good = rebuilds.filter(({ predicate }) => rebuildProblem(predicate, image) === undefined);
  const reasons: string[] = [];
  const signers: SignerId[] = [];
  const rebuilders: SignerId[] = [];
  const elsewhere: string[] = [];
  for (const rule of rules) {
    const bound = boundTo(rule, image, signatures);
    const unbound = signatures.filter((one) => !bound.includes(one));
    elsewhere.push(...unbound.map(describeRepository));
    for (const [requirement, candidates, counted, did] of [
      [rule.signers, bound, signers, 'signed it'],
      [rule.rebuilders, good, rebuilders, 'rebuilt it'],
    ] as const) {
      if (requirement === undefined) continue;
      const found = distinct(requirement, candidates);
      counted.push(...found);
      if (found.length >= requirement.threshold) continue;
      const few = tooFew(rule, requirement, found, did);
      const lacksRoot = requirement.identities.length > 0 && policy.root === undefined;
      reasons.push(lacksRoot ? `${few}: identities need a trusted root` : few);
    }
  }
  if (reasons.length === 0)
    return {
      accepted: true,
      because: 'signed',
      signers: once(signers),
      rebuilders: once(rebuilders),
    };
  const others = rebuilds.flatMap(({ predicate, source }) => {
    const problem = rebuildProblem(predicate, image);
    return problem === undefined ? [] : [`${source}: ${problem}`];
  });
  const rejected = verification.rejections.map(({ source, reason }) => `${source}: ${reason}`);
  return {
    accepted: false,
    reasons: [...reasons, ...[...new Set(elsewhere), ...others, ...rejected].toSorted()],
  };
}

/**
 * Reports whether statements about an image are signed as a policy requires for the image itself;
 * undefined if no rule for it names signers, and none is required.
 */
export function isSignedAs(
  policy: TrustPolicy,
  image: NamedImage,
  statements: readonly VerifiedSignature[],
): boolean | undefined {
  const rules = rulesFor(policy, image);
  const verdicts = rules.flatMap(({ signers, ...rule }) => {
    if (signers === undefined) return [];
    return [distinct(signers, boundTo(rule, image, statements)).length >= signers.threshold];
  });
  if (verdicts.length > 0) return !verdicts.includes(false);
  return isRequired(policy, image) && rules.length === 0 ? false : undefined;
}

/** Returns the signatures that a rule counts for an image. */
function boundTo(
  { bindRepository = false }: Pick<TrustRule, 'bindRepository'>,
  image: Reference,
  signatures: readonly VerifiedSignature[],
): readonly VerifiedSignature[] {
  return bindRepository ? signatures.filter((one) => isFor(one, image)) : signatures;
}

function isFor({ repositories }: VerifiedSignature, image: Reference): boolean {
  return repositories.some((name) => isRepository(name, image));
}

function describeRepository({ source, repositories }: VerifiedSignature): string {
  const names = repositories.filter((name) => name !== '').join(', ');
  return `${source}: ${names === '' ? 'it names no repository' : `made for ${names}`}`;
}

/**
 * Returns the key by which signers are distinct. A key and an identity are two signers, even if one
 * person has both.
 */
function idOf(signer: SignerId): string {
  return JSON.stringify(
    signer.kind === 'key' ? [signer.fingerprint] : [signer.issuer, signer.subject],
  );
}

/** Returns the name of a signer for messages. */
export function describeSigner(signer: SignerId): string {
  return signer.kind === 'key' ? `the key ${signer.name}` : `${signer.subject} (${signer.issuer})`;
}

/** Returns the names of the signers that a requirement counts, for messages. */
export function describeSigners({ keys, identities }: SignerRequirement): readonly string[] {
  return [...keys.map(signerOfKey).map(describeSigner), ...identities.map(describeIdentity)];
}

function rulesFor({ rules }: TrustPolicy, image: Reference): readonly TrustRule[] {
  return rules.filter(({ images }) => images.some(({ matches }) => matches(image)));
}

function isRequired({ required, unsigned }: TrustPolicy, image: Reference): boolean {
  const has = (patterns: readonly ImagePattern[]): boolean =>
    patterns.some(({ matches }) => matches(image));
  return has(required) && !has(unsigned);
}

/**
 * Returns a signer for each key and identity of a requirement that signed. A signature counts for
 * the first one that it matches, so one signer never counts as two.
 */
function distinct(
  { keys, identities }: SignerRequirement,
  signatures: readonly VerifiedSignature[],
): readonly SignerId[] {
  const found = new Map<string, SignerId>();
  for (const { signer, claims = {} } of signatures.toSorted((a, b) =>
    bySigner(a.signer, b.signer),
  )) {
    const as =
      signer.kind === 'key'
        ? keys.find(({ fingerprint }) => fingerprint === signer.fingerprint)?.fingerprint
        : identities
            .filter((trusted) => identityProblem(trusted, signer, claims) === undefined)
            .map(identityKey)[0];
    if (as !== undefined && !found.has(as)) found.set(as, signer);
  }
  return [...found.values()];
}

function once(signers: readonly SignerId[]): readonly SignerId[] {
  return uniqueBy(signers, idOf).toSorted(bySigner);
}

function bySigner(a: SignerId, b: SignerId): number {
  const [first, second] = [idOf(a), idOf(b)];
  return first < second ? -1 : Number(first > second);
}

function tooFew(
  rule: TrustRule,
  requirement: SignerRequirement,
  found: readonly SignerId[],
  did: string,
): string {
  const { threshold } = requirement;
  const names = describeSigners(requirement);
  const whom = found.length === 0 ? 'none has' : `only ${found.map(describeSigner).join(', ')} has`;
  const whose = [...new Set(names)].join(', ');
  return `${rule.name} requires ${threshold} of ${whose} to have ${did}, but ${whom}`;
}
