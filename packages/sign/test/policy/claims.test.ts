import { digestOf } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseImagePattern } from '../../src/policy/image-pattern.ts';
import { evaluatePolicy } from '../../src/policy/policy.ts';
import { parseRefPattern } from '../../src/verify/ref-pattern.ts';
import { SIGNATURE_PREDICATE } from '../../src/statement/statement.ts';
import {
  describeIdentity,
  identityProblem,
  type TrustedClaims,
  type TrustedIdentity,
} from '../../src/verify/trusted-identity.ts';
import type { Claims } from '../../src/verify/certificate-identity.ts';
import type { VerifiedSignature } from '../../src/verify/verification.ts';

const ISSUER = 'https://token.example';
const REPOSITORY = 'https://git.example/lkt/lkt';
const WORKFLOW = `${REPOSITORY}/.github/workflows/release.yml`;

function claims(ref: string, rest: Claims = {}): Claims {
  return { repository: REPOSITORY, workflow: `${WORKFLOW}@${ref}`, ref, ...rest };
}

function trusted(
  rest: Partial<TrustedClaims> & { ref?: never } = {},
  ref?: string,
): TrustedIdentity {
  const pattern = ref === undefined ? {} : { ref: parseRefPattern(ref) };
  return { issuer: ISSUER, claims: { repository: REPOSITORY, ...rest, ...pattern } };
}

function problem(identity: TrustedIdentity, found: Claims, issuer = ISSUER): string | undefined {
  return identityProblem(identity, { issuer, subject: found.workflow ?? 'nobody' }, found);
}

describe('a ref', () => {
  it.each([
    ['refs/tags/v*', 'refs/tags/v1.2', true],
    ['refs/tags/v*', 'refs/tags/v', true],
    ['refs/tags/v*', 'refs/tags/v1/x', false],
    ['refs/tags/v*', 'refs/heads/v1', false],
    ['refs/tags/v*', 'xrefs/tags/v1', false],
    ['refs/tags/v1.2', 'refs/tags/v1x2', false],
    ['refs/tags/v1.2', 'refs/tags/v1.2\n', false],
    ['refs/heads/release-*/final', 'refs/heads/release-1/final', true],
    ['refs/heads/release-*/final', 'refs/heads/release-1/2/final', false],
    ['refs/heads/*', 'refs/heads/main', true],
    ['refs/heads/*', 'refs/pull/1/merge', false],
    ['refs/heads/a+(b)[c]', 'refs/heads/a+(b)[c]', true],
    ['refs/heads/ü*', 'refs/heads/ü1', true],
  ])('%s matches %s: %s', (pattern, ref, expected) => {
    expect(parseRefPattern(pattern).matches(ref)).toBe(expected);
  });

  it('matches with every * replaced by text without a slash, and no other text', () => {
    const part = fc.string().map((text) => text.replaceAll(/[*/]/g, ''));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), fc.array(part), part, (fixed, fills, extra) => {
        const { matches } = parseRefPattern(`refs/tags/v${fixed.join('*a')}`);
        const ref = fixed.map(
          (text, index) => (index === 0 ? '' : `${fills[index] ?? ''}a`) + text,
        );
        const text = `refs/tags/v${ref.join('')}`;
        expect(matches(text)).toBe(true);
        expect(matches(`${text}/${extra}`)).toBe(false);
        expect(matches(`${extra}/${text}`)).toBe(false);
      }),
    );
  });
});

describe('claims', () => {
  it('accept every ref that matches, of the named workflow and environment', () => {
    const release = trusted({ workflow: WORKFLOW, environment: 'production' }, 'refs/tags/v*');
    for (const ref of ['refs/tags/v1', 'refs/tags/v2.0'])
      expect(problem(release, claims(ref, { environment: 'production' }))).toBeUndefined();
    expect(describeIdentity(release)).toBe(
      `${WORKFLOW}, refs/tags/v*, environment production (${ISSUER})`,
    );
  });

  const tag = claims('refs/tags/v1', { environment: 'production' });
  const exact = trusted({ workflow: WORKFLOW, environment: 'production' }, 'refs/tags/v1');
  it.each<[string, Claims, string]>([
    ['repository', { ...tag, repository: `${REPOSITORY}2` }, 'its repository is'],
    ['ref', claims('refs/heads/main', { environment: 'production' }), 'its ref is refs/heads/main'],
    ['environment', { ...tag, environment: 'staging' }, 'its environment is staging'],
    ['workflow', { ...tag, workflow: `${REPOSITORY}/other.yml@refs/tags/v1` }, 'its workflow is'],
    // The workflow of a branch may differ from that of the tag.
    ['ref of the workflow', { ...tag, workflow: `${WORKFLOW}@refs/heads/x` }, 'its workflow is'],
    [
      'workflow with a ref in its name',
      { ...tag, workflow: `${WORKFLOW}@x.yml@refs/tags/v1` },
      'its workflow is',
    ],
  ])('reject another %s', (_what, found, message) => {
    expect(problem(exact, found)).toContain(message);
  });

  it.each(['repository', 'ref', 'workflow', 'environment'] as const)(
    'reject a certificate without %s',
    (name) => {
      const { [name]: _missing, ...rest } = tag;
      expect(problem(exact, rest)).toBe(`its certificate states no ${name}`);
    },
  );

  it('need the issuer and, if given, the subject', () => {
    expect(problem(exact, tag, 'https://other.example')).toMatch(/its issuer is/);
    expect(problem({ ...exact, subject: 'other' }, tag)).toMatch(/its subject is/);
    expect(problem({ issuer: ISSUER }, tag)).toBe('the policy names no subject');
  });
});

describe('a threshold', () => {
  const image = { ...parseReference('lkt/sshd:1'), digest: digestOf('image') };
  const signature = (ref: string, rest?: Claims): VerifiedSignature => ({
    signer: { kind: 'identity', issuer: ISSUER, subject: `${WORKFLOW}@${ref}` },
    claims: claims(ref, rest),
    subject: image.digest,
    predicateType: SIGNATURE_PREDICATE,
    predicate: {},
    repositories: [],
    source: ref,
  });

  function accepts(
    identities: readonly TrustedIdentity[],
    signatures: readonly VerifiedSignature[],
  ): boolean {
    const signers = { threshold: 2, keys: [], identities };
    const rules = [{ name: 'rule', images: [parseImagePattern('**')], signers }];
    const policy = { name: 'policy', required: [], unsigned: [], rules };
    const verification = { subject: image.digest, signatures, rejections: [] };
    return evaluatePolicy(policy, image, verification).accepted;
  }

  const release = trusted({ workflow: WORKFLOW }, 'refs/tags/v*');
  const audit = trusted({ environment: 'audit' });
  const tagged = signature('refs/tags/v1', { environment: 'audit' });

  it('counts several refs that match one identity once', () => {
    expect(accepts([release, audit], [signature('refs/tags/v1'), signature('refs/tags/v2')])).toBe(
      false,
    );
  });

  it('counts a signature that matches two identities once', () => {
    expect(accepts([release, audit], [tagged])).toBe(false);
    expect(accepts([release, { issuer: ISSUER, subject: tagged.source }], [tagged])).toBe(false);
  });

  it('counts two signatures for two identities, in any order', () => {
    const other = signature('refs/heads/main', { environment: 'audit' });
    const both = [signature('refs/tags/v1'), other];
    expect(accepts([release, audit], both)).toBe(true);
    expect(accepts([release, audit], both.toReversed())).toBe(true);
    expect(accepts([release, audit], [tagged, ...both])).toBe(true);
  });
});
