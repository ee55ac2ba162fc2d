import { type Digest } from '@lkt/core';
import { familiarReference, type Reference } from '@lkt/oci';
import type { ImagePattern } from './image-pattern.ts';
import type { PublicKey } from '../keys/keys.ts';
import { REBUILD_PREDICATE, rebuildProblem } from '../statement/rebuild.ts';
import { SIGNATURE_PREDICATE } from '../statement/statement.ts';
import type { TrustedRoot } from '../sigstore/trusted-root.ts';
import type {
  Identity,
  SignedBy,
  Trust,
  Verification,
  VerifiedSignature,
} from '../verify/verified.ts';

/** Which images need whose signatures. `docs/trust.md` describes what each field promises. */
export interface TrustPolicy {
  /** Where it is written, for people: `trust.yml:1`. */
  readonly name: string;
  /** Images that need a signature or to have been built here, whether a rule is about them or not. */
  readonly required: readonly ImagePattern[];
  /** Images that need none although `required` has them. A rule that is about an image goes before. */
  readonly unsigned: readonly ImagePattern[];
  readonly rules: readonly TrustRule[];
  /** Whom identities and times are believed from. */
  readonly root?: TrustedRoot;
}

export interface TrustRule {
  /** Where it is written, for people. */
  readonly name: string;
  readonly images: readonly ImagePattern[];
  /** Who has to say that an image is theirs. */
  readonly signers?: Signers;
  /** Who has to say that they built it from its source and got the same. */
  readonly rebuilders?: Signers;
}

/** Some of these: `threshold` of them, each counted once. */
export interface Signers {
  readonly threshold: number;
  readonly keys: readonly PublicKey[];
  readonly identities: readonly Identity[];
}

export type Verdict =
  | { readonly accepted: true; readonly because: 'not required' }
  | {
      readonly accepted: true;
      readonly because: 'signed';
      /** Each once. */
      readonly signers: readonly SignedBy[];
      readonly rebuilders: readonly SignedBy[];
    }
  | { readonly accepted: false; readonly reasons: readonly string[] };

/** An image as something names it. */
export type NamedImage = Reference & { readonly digest: Digest };

/**
 * Whose signatures a policy wants to see of an image; undefined if none.
 * An image that needs a signature and has no rule gets nobody, whom nothing satisfies.
 */
export function trustFor(policy: TrustPolicy, image: NamedImage): Trust | undefined {
  const rules = rulesFor(policy, image);
  if (rules.length === 0 && !isRequired(policy, image)) return undefined;
  const all = rules.flatMap(({ signers, rebuilders }) =>
    [signers, rebuilders].flatMap((some) => some ?? []),
  );
  const keys = new Map(
    all.flatMap((some) => some.keys.map((key) => [key.fingerprint, key] as const)),
  );
  const identities = new Map(
    all.flatMap((some) =>
      some.identities.map(
        (identity) => [idOf({ kind: 'identity', ...identity }), identity] as const,
      ),
    ),
  );
  return { keys: [...keys.values()], identities: [...identities.values()], root: policy.root };
}

/**
 * Whether an image is signed as a policy says. Every rule that is about it has to be satisfied. Evidence can only add
 * to what is counted, so nothing that somebody puts beside an image takes anything away; nor does the order matter.
 * @param verification of the digest of the image, by those whom `trustFor` gives
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
        `${policy.name} requires a signature of ${name}, and says of nobody that theirs will do`,
      ],
    };
  }
  // A signature of another image is none of this one, whoever verified it.
  const own = verification.signatures.filter(({ subject }) => subject === image.digest);
  const signatures = own.filter(({ predicateType }) => predicateType === SIGNATURE_PREDICATE);
  const rebuilds = own.filter(({ predicateType }) => predicateType === REBUILD_PREDICATE);
  const good = rebuilds.filter(({ predicate }) => rebuildProblem(predicate, image) === undefined);
  const reasons: string[] = [];
  const signers: SignedBy[] = [];
  const rebuilders: SignedBy[] = [];
  for (const rule of rules) {
    if (rule.signers !== undefined) {
      const found = distinct(rule.signers, signatures);
      signers.push(...found);
      if (found.length < rule.signers.threshold)
        reasons.push(tooFew(rule, rule.signers, found, 'signed it'));
    }
    if (rule.rebuilders !== undefined) {
      const found = distinct(rule.rebuilders, good);
      rebuilders.push(...found);
      if (found.length < rule.rebuilders.threshold)
        reasons.push(tooFew(rule, rule.rebuilders, found, 'rebuilt it'));
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
  return { accepted: false, reasons: [...reasons, ...[...others, ...rejected].toSorted()] };
}

/** What tells signers apart. A key and an identity are two, also if one person has both. */
function idOf(signer: SignedBy): string {
  return signer.kind === 'key'
    ? `key ${signer.fingerprint}`
    : `identity ${JSON.stringify([signer.issuer, signer.subject])}`;
}

/** For people. */
export function describeSigner(signer: SignedBy): string {
  return signer.kind === 'key' ? `the key ${signer.name}` : `${signer.subject} (${signer.issuer})`;
}

function rulesFor({ rules }: TrustPolicy, image: Reference): readonly TrustRule[] {
  return rules.filter(({ images }) => images.some(({ matches }) => matches(image)));
}

function isRequired({ required, unsigned }: TrustPolicy, image: Reference): boolean {
  const has = (patterns: readonly ImagePattern[]): boolean =>
    patterns.some(({ matches }) => matches(image));
  return has(required) && !has(unsigned);
}

function distinct(
  { keys, identities }: Signers,
  signatures: readonly VerifiedSignature[],
): readonly SignedBy[] {
  const wanted = new Set([
    ...keys.map(({ fingerprint, name }) => idOf({ kind: 'key', fingerprint, name })),
    ...identities.map((identity) => idOf({ kind: 'identity', ...identity })),
  ]);
  return once(signatures.map(({ signer }) => signer)).filter((signer) => wanted.has(idOf(signer)));
}

function once(signers: readonly SignedBy[]): readonly SignedBy[] {
  const byId = new Map(signers.map((signer) => [idOf(signer), signer]));
  return [...byId].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, signer]) => signer);
}

function tooFew(
  rule: TrustRule,
  { threshold, keys, identities }: Signers,
  found: readonly SignedBy[],
  did: string,
): string {
  const all = [
    ...keys.map(({ fingerprint, name }): SignedBy => ({ kind: 'key', fingerprint, name })),
    ...identities.map((identity): SignedBy => ({ kind: 'identity', ...identity })),
  ];
  // As they are written; each once.
  const each = new Map(all.map((signer) => [idOf(signer), signer]));
  const names = [...each.values()].map(describeSigner).join(', ');
  const whom = found.length === 0 ? 'none has' : `only ${found.map(describeSigner).join(', ')} has`;
  return `${rule.name} wants ${threshold} of ${names} to have ${did}, and ${whom}`;
}
