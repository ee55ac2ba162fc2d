import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { digestOf } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseImagePattern } from '../../src/policy/image-pattern.ts';
import type { PublicKey } from '../../src/keys/keys.ts';
import {
  evaluatePolicy,
  type NamedImage,
  type SignerRequirement,
  trustedSigners,
  type TrustPolicy,
} from '../../src/policy/policy.ts';
import { REBUILD_PREDICATE, rebuildStatement } from '../../src/statement/rebuild.ts';
import { SIGNATURE_PREDICATE } from '../../src/statement/statement.ts';
import type { SignerId, Verification, VerifiedSignature } from '../../src/verify/verification.ts';

const SOURCE = 'a'.repeat(40);
const IMAGE = named(`lkt/sshd:${SOURCE}@${digestOf('image')}`);
const ISSUER = 'https://issuer.example';

function ofSource(name: string): NamedImage {
  return named(`${name}:${SOURCE}@${IMAGE.digest}`);
}

function named(text: string): NamedImage {
  const reference = parseReference(text);
  if (reference.digest === undefined) throw new Error('no digest');
  return { ...reference, digest: reference.digest };
}

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function key(name: string, identity: string = name): PublicKey {
  return {
    key: createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })),
    fingerprint: digestOf(identity),
    name,
  };
}

function byKey(name: string): SignerId {
  return { kind: 'key', fingerprint: digestOf(name), name };
}

function byIdentity(subject: string, issuer: string = ISSUER): SignerId {
  return { kind: 'identity', issuer, subject };
}

function signature(signer: SignerId, rest: Partial<VerifiedSignature> = {}): VerifiedSignature {
  return {
    signer,
    subject: IMAGE.digest,
    predicateType: SIGNATURE_PREDICATE,
    predicate: {},
    repositories: [],
    source: 'somewhere',
    ...rest,
  };
}

function rebuild(signer: SignerId, sourceHash = SOURCE): VerifiedSignature {
  const { predicate } = rebuildStatement(
    { name: 'lkt/sshd', digest: IMAGE.digest },
    { package: 'lkt/sshd', sourceHash, platforms: ['linux/amd64'] },
  );
  return signature(signer, { predicateType: REBUILD_PREDICATE, predicate });
}

function signers(threshold: number, ...all: readonly SignerId[]): SignerRequirement {
  return {
    threshold,
    keys: all.flatMap((one) => (one.kind === 'key' ? [key(one.name)] : [])),
    identities: all.flatMap((one) => (one.kind === 'identity' ? [one] : [])),
  };
}

function policy(
  rules: readonly {
    images?: string;
    signers?: SignerRequirement;
    rebuilders?: SignerRequirement;
  }[],
  rest: Partial<TrustPolicy> = {},
): TrustPolicy {
  return {
    name: 'trust.yml:1',
    required: [],
    unsigned: [],
    rules: rules.map(({ images = 'lkt/*', ...some }, index) => ({
      name: `trust.yml:${index + 2}`,
      images: [parseImagePattern(images)],
      ...some,
    })),
    ...rest,
  };
}

function accepts(
  some: TrustPolicy,
  signatures: readonly VerifiedSignature[],
  image = IMAGE,
): boolean {
  return evaluatePolicy(some, image, { subject: image.digest, signatures, rejections: [] })
    .accepted;
}

const a = byKey('a');
const b = byKey('b');
const person = byIdentity('release@lkt.dev');

describe('a policy', () => {
  it('accepts an image that no rule covers', () => {
    expect(accepts(policy([]), [])).toBe(true);
    expect(accepts(policy([{ images: 'other/*', signers: signers(1, a) }]), [])).toBe(true);
    expect(trustedSigners(policy([]), IMAGE)).toBeUndefined();
  });

  it('that requires signatures rejects an image that no rule covers', () => {
    const required = { required: [parseImagePattern('**')] };
    expect(accepts(policy([], required), [signature(a)])).toBe(false);
    expect(
      accepts(policy([{ images: 'other/*', signers: signers(1, a) }], required), [signature(a)]),
    ).toBe(false);
    expect(trustedSigners(policy([], required), IMAGE)).toEqual({
      keys: [],
      identities: [],
      root: undefined,
    });
  });

  it('allows unsigned images, but not against its rules', () => {
    const rest = { required: [parseImagePattern('**')], unsigned: [parseImagePattern('lkt/**')] };
    expect(accepts(policy([], rest), [])).toBe(true);
    expect(accepts(policy([{ signers: signers(1, a) }], rest), [])).toBe(false);
  });

  it('counts each signer once', () => {
    const two = policy([{ signers: signers(2, a, b, person) }]);
    expect(accepts(two, [signature(a), signature(a, { source: 'elsewhere' })])).toBe(false);
    expect(
      accepts(two, [
        signature(a),
        signature({ kind: 'key', fingerprint: digestOf('a'), name: 'another name' }),
      ]),
    ).toBe(false);
    expect(accepts(two, [signature(person), signature(person)])).toBe(false);
    expect(accepts(two, [signature(a), signature(b)])).toBe(true);
    expect(accepts(two, [signature(a), signature(person)])).toBe(true);
  });

  it('compares identities literally by issuer and subject', () => {
    const one = policy([{ signers: signers(1, person) }]);
    expect(accepts(one, [signature(person)])).toBe(true);
    for (const other of [
      byIdentity('release@lkt.dev', 'https://other.example'),
      byIdentity('release@lkt.dev.evil.example'),
      byIdentity('xrelease@lkt.dev'),
      byIdentity('release@lktxdev'),
      byIdentity('Release@lkt.dev'),
      byIdentity('release@lkt.dev', `${ISSUER}/`),
    ])
      expect(accepts(one, [signature(other)])).toBe(false);
  });

  it('does not mix up the parts of an identity', () => {
    const one = policy([{ signers: signers(1, byIdentity('b c', 'a')) }]);
    expect(accepts(one, [signature(byIdentity('c', 'a b'))])).toBe(false);
  });

  it('does not count another statement as a signature', () => {
    const one = policy([{ signers: signers(1, a) }]);
    for (const predicateType of [
      'https://spdx.dev/Document',
      'https://slsa.dev/provenance/v1',
      REBUILD_PREDICATE,
      '',
    ])
      expect(accepts(one, [signature(a, { predicateType })])).toBe(false);
  });

  it('does not count a signature of another image', () => {
    const one = policy([{ signers: signers(1, a) }]);
    expect(accepts(one, [signature(a, { subject: digestOf('another') })])).toBe(false);
  });

  it('requires every rule that covers the image', () => {
    const both = policy([{ images: '**', signers: signers(1, a) }, { signers: signers(1, b) }]);
    expect(accepts(both, [signature(a)])).toBe(false);
    expect(accepts(both, [signature(b)])).toBe(false);
    expect(accepts(both, [signature(a), signature(b)])).toBe(true);
  });

  it('requires rebuilders as well as signers', () => {
    const rule = policy([{ signers: signers(1, a), rebuilders: signers(2, a, b, person) }]);
    expect(accepts(rule, [signature(a)])).toBe(false);
    expect(accepts(rule, [signature(a), rebuild(a), rebuild(a)])).toBe(false);
    expect(accepts(rule, [rebuild(a), rebuild(b)])).toBe(false);
    expect(accepts(rule, [signature(a), rebuild(b), rebuild(person)])).toBe(true);
  });

  it('counts a rebuild only of the source that the tag names', () => {
    const rule = policy([{ rebuilders: signers(1, a) }]);
    expect(accepts(rule, [rebuild(a)])).toBe(true);
    expect(accepts(rule, [rebuild(a, 'b'.repeat(40))])).toBe(false);
    expect(accepts(rule, [rebuild(a)], named(`lkt/sshd@${IMAGE.digest}`))).toBe(false);
    expect(accepts(rule, [rebuild(a)], named(`lkt/sshd:1@${IMAGE.digest}`))).toBe(false);
    const unnamed = [undefined, null, {}, { sourceHash: 1 }, { sourceHash: 'a' }];
    for (const predicate of [...unnamed, { sourceHash: SOURCE }])
      expect(accepts(rule, [{ ...rebuild(a), predicate }])).toBe(false);
  });

  it('counts a rebuild only of the package that the image is named after, in any registry', () => {
    const rule = policy([{ images: '**', rebuilders: signers(1, a) }]);
    expect(accepts(rule, [rebuild(a)], ofSource('registry.example/team/sshd'))).toBe(true);
    expect(accepts(rule, [rebuild(a)], ofSource('lkt/other'))).toBe(false);
    expect(accepts(rule, [rebuild(a)], ofSource('lkt/xsshd'))).toBe(false);
  });

  it('reports missing signers and the rejections', () => {
    const rejections = [{ source: 'sha256:1', reason: 'the certificate has expired' }];
    const verdict = evaluatePolicy(policy([{ signers: signers(2, a, person) }]), IMAGE, {
      subject: IMAGE.digest,
      signatures: [signature(a)],
      rejections,
    });
    expect(verdict).toEqual({
      accepted: false,
      reasons: [
        `trust.yml:2 requires 2 of the key a, release@lkt.dev (${ISSUER}) to have signed it, but only the key a has: identities need a trusted root`,
        'sha256:1: the certificate has expired',
      ],
    });
  });
});

const people = fc.constantFrom(
  a,
  b,
  byKey('c'),
  person,
  byIdentity('x@y'),
  byIdentity('x@y', 'https://z.example'),
);
const collected = fc.oneof(
  people.map((signer) => signature(signer)),
  people.map((signer) => rebuild(signer)),
  people.map((signer) => rebuild(signer, 'b'.repeat(40))),
  people.map((signer) => signature(signer, { subject: digestOf('other') })),
  people.map((signer) => signature(signer, { predicateType: 'https://spdx.dev/Document' })),
);
const some = fc
  .tuple(fc.uniqueArray(people, { minLength: 1, maxLength: 4 }), fc.nat(3))
  .map(([all, more]) => signers(1 + (more % all.length), ...all));
const rule = fc.record(
  { images: fc.constantFrom('lkt/*', '**', 'other/*'), signers: some, rebuilders: some },
  { requiredKeys: ['images', 'signers'] },
);
const policies = fc
  .tuple(fc.array(rule, { maxLength: 3 }), fc.boolean())
  .map(([rules, all]) => policy(rules, { required: all ? [parseImagePattern('**')] : [] }));
const list = fc.array(collected, { maxLength: 8 });

describe('any policy', () => {
  it('never rejects because of added signatures, nor counts those of unlisted signers', () => {
    fc.assert(
      fc.property(policies, list, list, (one, own, added) => {
        if (accepts(one, own)) expect(accepts(one, [...own, ...added])).toBe(true);
        const { keys = [], identities = [] } = trustedSigners(one, IMAGE) ?? {};
        const strangers = added.filter(({ signer }) =>
          signer.kind === 'key'
            ? !keys.some(({ fingerprint }) => fingerprint === signer.fingerprint)
            : !identities.some(
                ({ issuer, subject }) => issuer === signer.issuer && subject === signer.subject,
              ),
        );
        expect(accepts(one, [...own, ...strangers])).toBe(accepts(one, own));
      }),
    );
  });

  it('ignores the order of signatures and rules', () => {
    fc.assert(
      fc.property(policies, list, fc.infiniteStream(fc.nat()), (one, all, random) => {
        const shuffle = <T>(items: readonly T[]): T[] =>
          items
            .map((item) => [random.next().value as number, item] as const)
            .toSorted(([x], [y]) => x - y)
            .map(([, item]) => item);
        const result = (
          rules: TrustPolicy['rules'],
          signatures: readonly VerifiedSignature[],
        ): Verification & { accepted: boolean } => ({
          subject: IMAGE.digest,
          signatures: [],
          rejections: [],
          ...evaluatePolicy({ ...one, rules }, IMAGE, {
            subject: IMAGE.digest,
            signatures,
            rejections: [],
          }),
        });
        expect(result(shuffle(one.rules), shuffle(all)).accepted).toBe(
          result(one.rules, all).accepted,
        );
      }),
    );
  });

  it('accepts no more images after a rule is added or signatures are required', () => {
    fc.assert(
      fc.property(policies, rule, list, (one, added, all) => {
        const stricter = { ...one, rules: [...one.rules, ...policy([added]).rules] };
        const required = { ...one, required: [parseImagePattern('**')] };
        // A rule may only turn a rejected image into an accepted one if no rule covered it before.
        if (
          !accepts(one, all) &&
          one.rules.some(({ images }) => images.some((some_) => some_.matches(IMAGE)))
        )
          expect(accepts(stricter, all)).toBe(false);
        if (!accepts(one, all)) expect(accepts(required, all)).toBe(false);
      }),
    );
  });

  it('agrees with a plain count of distinct signers', () => {
    fc.assert(
      fc.property(some, list, (wanted, all) => {
        const ids = new Set(
          all
            .filter(
              ({ subject, predicateType }) =>
                subject === IMAGE.digest && predicateType === SIGNATURE_PREDICATE,
            )
            .map(({ signer }) =>
              signer.kind === 'key' ? signer.fingerprint : `${signer.issuer} ${signer.subject}`,
            ),
        );
        const known = [
          ...wanted.keys.map(({ fingerprint }) => fingerprint as string),
          ...wanted.identities.map(({ issuer, subject }) => `${issuer} ${subject}`),
        ];
        const count = known.filter((id) => ids.has(id)).length;
        expect(accepts(policy([{ signers: wanted }]), all)).toBe(count >= wanted.threshold);
      }),
    );
  });
});
