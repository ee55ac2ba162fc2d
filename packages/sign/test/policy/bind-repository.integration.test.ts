import { join } from 'node:path';
import { parseReference } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { evaluatePolicies } from '../../src/policy/evaluate-policies.ts';
import { isRepository, parseImagePattern } from '../../src/policy/image-pattern.ts';
import type { TrustPolicy, Verdict } from '../../src/policy/policy.ts';
import { collectFromRegistry, collectFromStore } from '../../src/referrers/collect-signatures.ts';
import type { CollectedSignatures } from '../../src/referrers/collected-signatures.ts';
import { signImage } from '../../src/signing/sign-images.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../../src/statement/statement.ts';
import { signStatement } from '../../src/bundle/sign-statement.ts';
import type { TrustedSigners } from '../../src/verify/verification.ts';
import { createFixture, type Fixture, newKey, run } from '../support.ts';

/** Evaluates a policy with `bindRepository` for an image of a repository. */
async function judge(
  collected: CollectedSignatures,
  { keys = [] }: TrustedSigners,
  { subject }: Fixture,
  repository: string,
  bindRepository = true,
): Promise<Verdict> {
  const signers = { threshold: 1, keys, identities: [] };
  const images = [parseImagePattern('**')];
  const rules = [{ name: 'the rule', images, bindRepository, signers }];
  const policy: TrustPolicy = { name: 'the policy', required: [], unsigned: [], rules };
  const source = {
    name: 'the store',
    async *collect() {
      yield collected;
    },
  };
  const image = { ...parseReference(repository), digest: subject.digest };
  return (await evaluatePolicies(image, [policy], [source])).verdict;
}

describe('a signature', () => {
  it.each(['bundle', 'signature'] as const)(
    'as a %s counts for the repository that it was made for',
    async (kind) => {
      const fixture = await createFixture();
      const { signer, trust } = await newKey();
      const { store, subject, name } = fixture;
      await signImage(store, { subject, name, signer });
      const { items } = await collectFromStore(store, subject.digest);
      const collected = { items: items.filter((item) => item.kind === kind), unreadable: [] };
      expect(collected.items).toHaveLength(1);
      const own = `${name.domain}/${name.path}`;
      expect(await judge(collected, trust, fixture, own)).toMatchObject({ accepted: true });
      for (const other of [
        `${own}2`,
        `${name.domain}/x/app`,
        'app',
        `other.example/${name.path}`,
      ]) {
        expect(await judge(collected, trust, fixture, other)).toEqual({
          accepted: false,
          reasons: [
            expect.stringMatching(/^the rule requires 1 of the key .*, but none has$/),
            expect.stringMatching(`: made for ${own}$`),
          ],
        });
        const unbound = await judge(collected, trust, fixture, other, false);
        expect(unbound).toMatchObject({ accepted: true });
      }
    },
  );

  it('of cosign counts too', async () => {
    const fixture = await createFixture();
    const { trust, directory } = await newKey();
    const key = ['--key', join(directory, 'cosign.key'), '-y', '--tlog-upload=false'];
    expect(await run('cosign', ['sign', ...key, fixture.reference])).toMatchObject({ status: 0 });
    const { registry, name, subject } = fixture;
    const collected = await collectFromRegistry(registry, { ...name, digest: subject.digest });
    const own = `${name.domain}/${name.path}`;
    expect(await judge(collected, trust, fixture, own)).toMatchObject({ accepted: true });
    expect(await judge(collected, trust, fixture, `${own}2`)).toMatchObject({ accepted: false });
  });

  it('that names no repository does not count', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const { digest } = fixture.subject;
    const { subject, ...rest } = statementAbout({ name: '', digest }, SIGNATURE_PREDICATE, {});
    await using session = await signer.open();
    const unnamed = subject.map((item) => ({ digest: item.digest ?? {} }));
    for (const subjects of [unnamed, subject, [{ ...unnamed[0], name: 'not a name' }]]) {
      const { bytes } = await signStatement(session, { ...rest, subject: subjects });
      const items = [{ kind: 'bundle', source: 'it', bytes } as const];
      const collected = { items, unreadable: [] };
      const own = `${fixture.name.domain}/${fixture.name.path}`;
      expect(await judge(collected, trust, fixture, own)).toMatchObject({ accepted: false });
      expect(await judge(collected, trust, fixture, own, false)).toMatchObject({ accepted: true });
    }
  });

  it('counts only by the name of the subject with the digest of the image', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const { digest } = fixture.subject;
    const own = `${fixture.name.domain}/${fixture.name.path}`;
    await using session = await signer.open();
    const statement = statementAbout({ name: 'x.example/a', digest }, SIGNATURE_PREDICATE, {});
    const subject = [...statement.subject, { name: own, digest: { sha256: '0'.repeat(64) } }];
    const { bytes } = await signStatement(session, { ...statement, subject });
    const collected = { items: [{ kind: 'bundle', source: 'it', bytes } as const], unreadable: [] };
    expect(await judge(collected, trust, fixture, own)).toMatchObject({ accepted: false });
    expect(await judge(collected, trust, fixture, 'x.example/a')).toMatchObject({ accepted: true });
  });
});

describe('the name in a signature', () => {
  it.each([
    ['docker.io/library/alpine', 'alpine', true],
    ['index.docker.io/library/alpine:3.22', 'alpine', true],
    ['x.example:443/a', 'x.example/a', true],
    ['X.example/a', 'x.example/a', true],
    ['x.example/a@sha256:0', 'x.example/a', false],
    ['x.example/*', 'x.example/a', false],
    ['x.example/A', 'x.example/a', false],
    ['https://x.example/a', 'x.example/a', false],
    ['', 'x.example/a', false],
  ])('%j is of the repository %s: %s', (name, image, expected) => {
    expect(isRepository(name, parseReference(image))).toBe(expected);
  });
});
