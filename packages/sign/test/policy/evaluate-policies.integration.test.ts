import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { collectFromStore, registrySignatures } from '../../src/referrers/collect-signatures.ts';
import { parseImagePattern } from '../../src/policy/image-pattern.ts';
import { type SignatureSource, evaluatePolicies } from '../../src/policy/evaluate-policies.ts';
import type { CollectedSignatures } from '../../src/referrers/collected-signatures.ts';
import type { NamedImage, TrustPolicy } from '../../src/policy/policy.ts';
import { pushSignatures } from '../../src/referrers/push-signatures.ts';
import { rebuildStatement } from '../../src/statement/rebuild.ts';
import { signImage, signImages } from '../../src/signing/sign-images.ts';
import { BUNDLE_V03 } from '../../src/bundle/formats.ts';
import { SPDX_PREDICATE, statementAbout } from '../../src/statement/statement.ts';
import type { TrustedSigners } from '../../src/verify/verification.ts';
import { newKey, type Fixture, createFixture, pushReferrer } from '../support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';
const SOURCE = 'a'.repeat(40);

function policyOf(name: string, { keys = [], root }: TrustedSigners): TrustPolicy {
  const signers = { threshold: 1, keys, identities: [] };
  const rule = { name, images: [parseImagePattern('**')], signers };
  return { name, required: [], unsigned: [], rules: [rule], ...(root && { root }) };
}

function imageOf({ name, subject }: Fixture, tag = SOURCE): NamedImage {
  return { ...name, tag, digest: subject.digest };
}

function sourcesOf({ store, registry }: Fixture, asked: string[]): readonly SignatureSource[] {
  return [
    {
      name: 'the store',
      async *collect({ digest }) {
        asked.push('the store');
        yield await collectFromStore(store, digest);
      },
    },
    {
      name: 'the registry',
      async *collect(image) {
        asked.push('the registry');
        yield* registrySignatures(registry, image);
      },
    },
  ];
}

describe('sources', () => {
  it('are queried in order, only until the signatures suffice', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const { store, subject, name } = fixture;
    await signImage(store, { subject, name, signer });
    const asked: string[] = [];
    const result = await evaluatePolicies(
      imageOf(fixture),
      [policyOf('p', trust)],
      sourcesOf(fixture, asked),
    );
    expect(result.verdict).toMatchObject({ accepted: true, because: 'signed' });
    expect(result.asked).toEqual(['the store']);
    expect(asked).toEqual(['the store']);
  });

  it('are not queried if no policy covers the image', async () => {
    const fixture = await createFixture();
    const asked: string[] = [];
    const irrelevant = { name: 'p', required: [], unsigned: [], rules: [] };
    const { verdict } = await evaluatePolicies(
      imageOf(fixture),
      [irrelevant],
      sourcesOf(fixture, asked),
    );
    expect(verdict).toEqual({ accepted: true, because: 'not required' });
    expect(asked).toEqual([]);
  });

  it('together provide the signatures that none has alone', async () => {
    const fixture = await createFixture();
    const [one, two] = [await newKey(), await newKey()];
    const { store, registry, subject, name } = fixture;
    await signImage(store, { subject, name, signer: one.signer });
    await pushSignatures(registry, store, name, subject.digest);
    const other = await createFixture();
    await other.store.writeBytes(await store.readBytes(subject));
    await signImage(other.store, { subject, name, signer: two.signer });
    const sources = sourcesOf({ ...fixture, store: other.store }, []);
    const policies = [policyOf('p', one.trust), policyOf('q', two.trust)];
    const result = await evaluatePolicies(imageOf(fixture), policies, sources);
    expect(result.verdict).toMatchObject({ accepted: true, because: 'signed' });
    expect(result.asked).toEqual(['the store', 'the registry']);
    // A signature that only one of the policies trusts is not a rejection.
    expect(result.rejections).toEqual([]);
  });

  it('that fail count as empty, and their error is a reason', async () => {
    const fixture = await createFixture();
    const { trust } = await newKey();
    const silent: SignatureSource = {
      name: 'the registry',
      async *collect() {
        yield await Promise.reject<CollectedSignatures>(
          new LktError('NETWORK_FAILED', 'connection refused'),
        );
      },
    };
    const { verdict } = await evaluatePolicies(imageOf(fixture), [policyOf('p', trust)], [silent]);
    expect(verdict).toMatchObject({
      accepted: false,
      reasons: [
        expect.stringMatching(/^p requires 1 of/),
        'cannot read signatures from the registry: connection refused',
      ],
    });
  });
});

describe.each([true, false])('a registry, referrers API: %s', (referrers) => {
  it('is asked once for each place and manifest', async () => {
    const fixture = await createFixture({ referrers });
    const { signer, trust } = await newKey();
    const { store, subject, name, registry, server } = fixture;
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    (server.requests as unknown[]).length = 0;
    const source: SignatureSource = {
      name: 'the registry',
      collect: (image) => registrySignatures(registry, image),
    };
    const policies = [policyOf('p', trust)];
    const result = await evaluatePolicies(imageOf(fixture), policies, [source], { readAll: true });
    expect(result.verdict).toMatchObject({ accepted: true });
    const paths = server.requests.map(({ path }) => path);
    expect(paths).toHaveLength(new Set(paths).size);
  });

  it('shows the other signatures although one cannot be read', async () => {
    const fixture = await createFixture({ referrers });
    const { signer, trust } = await newKey();
    const { store, subject, name, registry, server } = fixture;
    for (const version of ['1', '2', '3', '4', '5', '6', '7', '8'])
      await pushReferrer(fixture, subject, `${BUNDLE_V03};v=${version}`);
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    server.storage.repository('app').tags.delete(`${subject.digest.replace(':', '-')}.sig`);
    const signed = new Set((await store.referrers(subject.digest)).map(({ digest }) => digest));
    const found = await registry.referrers({ ...name, digest: subject.digest });
    const others = found.filter(({ digest }) => !signed.has(digest));
    expect(others.length).toBeGreaterThanOrEqual(8);
    for (const { digest } of others)
      server.fault({ path: new RegExp(digest), times: 9 }, { kind: 'respond', status: 403 });
    const source: SignatureSource = {
      name: 'the registry',
      collect: (image) => registrySignatures(registry, image),
    };
    const result = await evaluatePolicies(imageOf(fixture), [policyOf('p', trust)], [source]);
    expect(result.verdict).toMatchObject({ accepted: true });
  });
});

describe('a signed statement', () => {
  it.each([
    [
      { buildDefinition: { buildType: 'x', externalParameters: { sourceHash: 'b'.repeat(40) } } },
      /^the provenance is of source b{40}, but the image has the tag a{40}$/,
    ],
    [{ builder: {} }, /^the signed statement is not SLSA provenance$/],
  ])('is rejected if it contradicts the image: %j', async (predicate, reason) => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const { store, subject, name } = fixture;
    const statement = statementAbout(
      { name: 'app', digest: subject.digest },
      PROVENANCE,
      predicate,
    );
    const { bundles } = await signImage(store, { subject, name, statements: [statement], signer });
    const policies = [policyOf('p', trust)];
    const sources = sourcesOf(fixture, []);
    const result = await evaluatePolicies(imageOf(fixture), policies, sources, { readAll: true });
    expect(result.signatures.map(({ predicateType }) => predicateType)).not.toContain(PROVENANCE);
    expect(result.rejections).toEqual([
      { source: `referrer ${bundles[1]?.digest}`, reason: expect.stringMatching(reason) },
    ]);
  });

  it('is not a signature if only statements are signed', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const { store, subject, name } = fixture;
    const about = { name: 'app', digest: subject.digest };
    const rebuilt = { package: 'app', sourceHash: SOURCE, platforms: ['linux/amd64'] };
    const statements = [
      rebuildStatement(about, rebuilt),
      statementAbout(about, SPDX_PREDICATE, { spdxVersion: 'SPDX-2.3' }),
    ];
    const images = [{ subject, statements }];
    const signed = await signImages(store, { images, name, signer, statementsOnly: true });
    expect(signed.images[0]).toMatchObject({ bundles: [{}, {}], simple: undefined });
    const policies = [policyOf('p', trust)];
    const result = await evaluatePolicies(imageOf(fixture), policies, sourcesOf(fixture, []));
    expect(result.verdict.accepted).toBe(false);
    expect(result.signatures).toHaveLength(2);
  });
});
