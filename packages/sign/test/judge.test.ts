import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry, collectFromStore } from '../src/evidence/collect.ts';
import { parseImagePattern } from '../src/policy/image-pattern.ts';
import { type EvidenceSource, judgeImage } from '../src/policy/judge.ts';
import type { NamedImage, TrustPolicy } from '../src/policy/policy.ts';
import { pushSignatures } from '../src/evidence/push.ts';
import { rebuildStatement } from '../src/statement/rebuild.ts';
import { signImage, signImages } from '../src/signing/sign.ts';
import { SPDX_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import type { Trust } from '../src/verify/verified.ts';
import { newKey, type Place, place } from './support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';
const SOURCE = 'a'.repeat(40);

function policyOf(name: string, { keys = [], root }: Trust): TrustPolicy {
  const signers = { threshold: 1, keys, identities: [] };
  const rule = { name, images: [parseImagePattern('**')], signers };
  return { name, required: [], unsigned: [], rules: [rule], ...(root && { root }) };
}

function imageOf({ name, subject }: Place, tag = SOURCE): NamedImage {
  return { ...name, tag, digest: subject.digest };
}

function sourcesOf({ store, registry }: Place, asked: string[]): readonly EvidenceSource[] {
  return [
    {
      name: 'the store',
      collect: async ({ digest }) => {
        asked.push('the store');
        return collectFromStore(store, digest);
      },
    },
    {
      name: 'the registry',
      collect: async (image) => {
        asked.push('the registry');
        return collectFromRegistry(registry, image);
      },
    },
  ];
}

describe('places', () => {
  it('are asked in order, and no further than is needed', async () => {
    const there = await place();
    const { signer, trust } = await newKey();
    const { store, subject, name } = there;
    await signImage(store, { subject, name, signer });
    const asked: string[] = [];
    const judged = await judgeImage(
      imageOf(there),
      [policyOf('p', trust)],
      sourcesOf(there, asked),
    );
    expect(judged.verdict).toMatchObject({ accepted: true, because: 'signed' });
    expect(judged.asked).toEqual(['the store']);
    expect(asked).toEqual(['the store']);
  });

  it('are not asked where no policy is about the image', async () => {
    const there = await place();
    const asked: string[] = [];
    const nothing = { name: 'p', required: [], unsigned: [], rules: [] };
    const { verdict } = await judgeImage(imageOf(there), [nothing], sourcesOf(there, asked));
    expect(verdict).toEqual({ accepted: true, because: 'not required' });
    expect(asked).toEqual([]);
  });

  it('together have what none has alone', async () => {
    const there = await place();
    const [one, two] = [await newKey(), await newKey()];
    const { store, registry, subject, name } = there;
    await signImage(store, { subject, name, signer: one.signer });
    await pushSignatures(registry, store, name, subject.digest);
    const other = await place();
    await other.store.writeBytes(await store.readBytes(subject));
    await signImage(other.store, { subject, name, signer: two.signer });
    const sources = sourcesOf({ ...there, store: other.store }, []);
    const policies = [policyOf('p', one.trust), policyOf('q', two.trust)];
    const judged = await judgeImage(imageOf(there), policies, sources);
    expect(judged.verdict).toMatchObject({ accepted: true, because: 'signed' });
    expect(judged.asked).toEqual(['the store', 'the registry']);
    // What one policy does not know and another asks for is no rejection.
    expect(judged.rejections).toEqual([]);
  });

  it('that do not answer have nothing, and it is said', async () => {
    const there = await place();
    const { trust } = await newKey();
    const silent: EvidenceSource = {
      name: 'the registry',
      collect: async () => Promise.reject(new LktError('NETWORK_FAILED', 'nobody is there')),
    };
    const { verdict } = await judgeImage(imageOf(there), [policyOf('p', trust)], [silent]);
    expect(verdict).toMatchObject({
      accepted: false,
      reasons: [
        expect.stringMatching(/^p wants 1 of/),
        'the registry does not say: nobody is there',
      ],
    });
  });
});

describe('what is signed', () => {
  it.each([
    [
      { buildDefinition: { buildType: 'x', externalParameters: { sourceHash: 'b'.repeat(40) } } },
      /^the provenance is of the source b{40}, and the image is named a{40}$/,
    ],
    [{ builder: {} }, /^what is signed is no provenance of SLSA$/],
  ])('is refused if it cannot be: %j', async (predicate, reason) => {
    const there = await place();
    const { signer, trust } = await newKey();
    const { store, subject, name } = there;
    const statement = statementAbout(
      { name: 'app', digest: subject.digest },
      PROVENANCE,
      predicate,
    );
    const { bundles } = await signImage(store, { subject, name, statements: [statement], signer });
    const policies = [policyOf('p', trust)];
    const judged = await judgeImage(imageOf(there), policies, sourcesOf(there, []));
    expect(judged.signatures.map(({ predicateType }) => predicateType)).not.toContain(PROVENANCE);
    expect(judged.rejections).toEqual([
      { source: `referrer ${bundles[1]?.digest}`, reason: expect.stringMatching(reason) },
    ]);
  });

  it('is not taken for a signature where only statements are signed', async () => {
    const there = await place();
    const { signer, trust } = await newKey();
    const { store, subject, name } = there;
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
    const judged = await judgeImage(imageOf(there), policies, sourcesOf(there, []));
    expect(judged.verdict.accepted).toBe(false);
    expect(judged.signatures).toHaveLength(2);
  });
});
