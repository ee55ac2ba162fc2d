import { type Descriptor, MediaType, writeReferrer } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { signStatement } from '../src/bundle/sign-statement.ts';
import {
  collectFromRegistry,
  collectFromStore,
  registrySignatures,
} from '../src/referrers/collect-signatures.ts';
import type { CollectedSignatures } from '../src/referrers/collected-signatures.ts';
import type { Verdict } from '../src/policy/policy.ts';
import { evaluatePolicies } from '../src/policy/evaluate-policies.ts';
import { parseImagePattern } from '../src/policy/image-pattern.ts';
import { BUNDLE_V03 } from '../src/bundle/formats.ts';
import { pushSignatures } from '../src/referrers/push-signatures.ts';
import { signImage } from '../src/signing/sign-images.ts';
import type { Signer } from '../src/signing/signer.ts';
import { SIGNATURE_PREDICATE, type Statement, statementAbout } from '../src/statement/statement.ts';
import type { TrustedIdentity } from '../src/verify/trusted-identity.ts';
import type { TrustedSigners } from '../src/verify/verification.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import {
  keyless,
  newImage,
  newKey,
  type Fixture,
  createFixture,
  pushReferrer,
  sigstore,
  verdictOf,
  WORKFLOW,
} from './support.ts';

/** Signs the image and returns the signatures beside it. */
async function signAndCollect(
  { store, subject, name }: Fixture,
  signer: Signer,
): Promise<CollectedSignatures> {
  await signImage(store, { subject, name, signer });
  return collectFromStore(store, subject.digest);
}

async function expectRejected(
  fixture: Fixture,
  collected: CollectedSignatures,
  trust: TrustedSigners,
  reason: RegExp,
): Promise<void> {
  const verified = await verifyImage({ subject: fixture.subject.digest, collected, trust });
  expect(verified.signatures).toEqual([]);
  for (const { reason: said } of verified.rejections) expect(said).toMatch(reason);
  expect(verdictOf(fixture, verified, trust).accepted).toBe(false);
}

function onlyBundle(
  { items }: CollectedSignatures,
  change: (document: BundleJson) => void,
): CollectedSignatures {
  const [item] = items.filter(({ kind }) => kind === 'bundle');
  if (item === undefined) throw new Error('there is no bundle');
  const document = JSON.parse(item.bytes.toString()) as BundleJson;
  change(document);
  const bytes = Buffer.from(JSON.stringify(document));
  return { items: [{ ...item, bytes }], unreadable: [] };
}

interface BundleJson {
  readonly verificationMaterial: {
    tlogEntries: Record<string, unknown>[];
    timestampVerificationData?: unknown;
  };
  readonly dsseEnvelope: { signatures: { sig: string; keyid?: string }[] };
}

/** Removes what a Rekor 2 does not state. */
function withoutLogTime({ verificationMaterial: { tlogEntries } }: BundleJson): void {
  for (const entry of tlogEntries) {
    delete entry['inclusionPromise'];
    delete entry['integratedTime'];
  }
}

async function signedStatement(signer: Signer, statement: Statement): Promise<CollectedSignatures> {
  await using session = await signer.open();
  const { bytes } = await signStatement(session, statement);
  return { items: [{ kind: 'bundle', source: 'here', bytes }], unreadable: [] };
}

describe('an image is rejected', () => {
  it('if it is not signed', async () => {
    const fixture = await createFixture();
    const { trust } = await newKey();
    const collected = await collectFromStore(fixture.store, fixture.subject.digest);
    const verified = await verifyImage({ subject: fixture.subject.digest, collected, trust });
    expect(verdictOf(fixture, verified, trust).accepted).toBe(false);
  });

  it('if its signatures were deleted from the registry', async () => {
    const fixture = await createFixture();
    const { registry, server, store, subject, name } = fixture;
    const { signer, trust } = await newKey();
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const image = { ...name, digest: subject.digest };
    const repository = server.storage.repository(name.path);
    for (const { digest } of await registry.referrers(image)) repository.manifests.delete(digest);
    repository.tags.delete(`${subject.digest.replace(':', '-')}.sig`);
    const collected = await collectFromRegistry(registry, image);
    await expectRejected(fixture, collected, trust, /^$/);
  });

  it('if the registry fails to list its referrers', async () => {
    const { registry, server, subject, name } = await createFixture();
    server.fault(
      { method: 'GET', path: /referrers/, times: 100 },
      { kind: 'respond', status: 500 },
    );
    await expect(
      collectFromRegistry(registry, { ...name, digest: subject.digest }),
    ).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  });

  it('if it is signed with another key', async () => {
    const fixture = await createFixture();
    const [mine, theirs] = [await newKey(), await newKey()];
    const collected = await signAndCollect(fixture, theirs.signer);
    await expectRejected(fixture, collected, mine.trust, /trusted key/);
    await expectRejected(fixture, collected, {}, /no key is trusted/);
  });

  it.each<[string, (who: TrustedIdentity) => object]>([
    ['another subject', ({ issuer }) => ({ issuer, subject: 'https://github.example/evil' })],
    ['another issuer', ({ subject }) => ({ subject, issuer: 'https://issuer.example.org' })],
    ['the start of the subject', ({ issuer }) => ({ issuer, subject: WORKFLOW.slice(0, -1) })],
    ['the end of the subject', ({ issuer }) => ({ issuer, subject: WORKFLOW.slice(1) })],
    ['a pattern', ({ issuer }) => ({ issuer, subject: '.*' })],
    ['an empty identity', () => ({ issuer: '', subject: '' })],
  ])('if its signer is not the trusted one: %s', async (_what, other) => {
    const fixture = await createFixture();
    const { signer, trust } = await keyless(await sigstore());
    const collected = await signAndCollect(fixture, signer);
    const [who] = trust.identities ?? [];
    if (who === undefined) throw new Error('no identity is trusted');
    const identities = [other(who) as typeof who];
    await expectRejected(fixture, collected, { ...trust, identities }, /who is not trusted/);
  });

  it('if another instance issued its signer’s certificate', async () => {
    const fixture = await createFixture();
    const { signer } = await keyless(await sigstore());
    const { trust } = await keyless(await sigstore());
    const collected = await signAndCollect(fixture, signer);
    await expectRejected(fixture, collected, trust, /authority|log/);
    await expectRejected(fixture, collected, { ...trust, root: undefined }, /no trusted root/);
  });

  it('if its certificate had expired', async () => {
    const fixture = await createFixture();
    const hourAgo = new Date(Date.now() - 3_600_000);
    const { signer, trust } = await keyless(await sigstore({ certificatesFrom: hourAgo }));
    const collected = await signAndCollect(fixture, signer);
    await expectRejected(fixture, collected, trust, /valid from .* but the signature was logged/);
  });

  it('if the signatures are of another image', async () => {
    const fixture = await createFixture();
    const { store, name } = fixture;
    const { signer, trust } = await newKey();
    const other = { ...fixture, subject: await newImage(store) };
    const collected = await signAndCollect(other, signer);
    const digest = new RegExp(`another image, ${other.subject.digest}`);
    await expectRejected(fixture, collected, trust, digest);
    // The other image's bundle, attached to this one.
    const bundle = collected.items.find(({ kind }) => kind === 'bundle');
    const layer = { mediaType: BUNDLE_V03, bytes: bundle?.bytes ?? Buffer.of() };
    await pushReferrer(fixture, fixture.subject, BUNDLE_V03, layer);
    const moved = await collectFromRegistry(fixture.registry, {
      ...name,
      digest: fixture.subject.digest,
    });
    await expectRejected(fixture, moved, trust, digest);
  });

  it('if it has the log entry of another signature', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await keyless(await sigstore());
    const statement = statementAbout(
      { name: 'app', digest: fixture.subject.digest },
      SIGNATURE_PREDICATE,
      {},
    );
    const first = await signedStatement(signer, statement);
    let entries: Record<string, unknown>[] = [];
    onlyBundle(first, ({ verificationMaterial }) => {
      entries = verificationMaterial.tlogEntries;
    });
    const replayed = onlyBundle(await signedStatement(signer, statement), (document) => {
      document.verificationMaterial.tlogEntries = entries;
    });
    await expectRejected(fixture, replayed, trust, /the log entry belongs to another signature/);
  });

  it.each<[string, RegExp, (entry: Record<string, unknown>) => void]>([
    ['its proof', /inclusionProof/, (entry) => delete entry['inclusionProof']],
    [
      'its promise, and so its time',
      /the signing time is not proven/,
      (entry) => delete entry['inclusionPromise'],
    ],
  ])('if its log entry lacks %s', async (_what, reason, change) => {
    const fixture = await createFixture();
    const { signer, trust } = await keyless(await sigstore());
    const collected = onlyBundle(
      await signAndCollect(fixture, signer),
      ({ verificationMaterial: { tlogEntries } }) => {
        for (const entry of tlogEntries) change(entry);
      },
    );
    await expectRejected(fixture, collected, trust, reason);
  });

  it('if neither its log, as Rekor 2, nor an authority states a time', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await keyless(await sigstore());
    const collected = onlyBundle(await signAndCollect(fixture, signer), withoutLogTime);
    await expectRejected(fixture, collected, trust, /the signing time is not proven/);
  });

  it('if it is in no log', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await keyless(await sigstore(), { tsa: true });
    const collected = onlyBundle(
      await signAndCollect(fixture, signer),
      ({ verificationMaterial }) => {
        verificationMaterial.tlogEntries = [];
      },
    );
    await expectRejected(fixture, collected, trust, /not in a trusted log/);
  });

  it('if another signer logged a key’s signature as theirs', async () => {
    const fixture = await createFixture();
    const instance = await sigstore();
    const { trust } = await keyless(instance);
    const mine = await newKey({ rekorUrl: instance.url });
    const theirs = await keyless(instance);
    const entries = await signAndCollect(fixture, theirs.signer);
    let entry: Record<string, unknown>[] = [];
    onlyBundle(entries, (document) => {
      entry = document.verificationMaterial.tlogEntries;
    });
    const other = await createFixture();
    const collected = onlyBundle(await signAndCollect(other, mine.signer), (document) => {
      document.verificationMaterial.tlogEntries = entry;
    });
    const both = { ...mine.trust, root: trust.root };
    await expectRejected(other, collected, both, /the log entry belongs to another/);
  });

  it('if its key’s signature must be in a log but is not', async () => {
    const fixture = await createFixture();
    const { trust } = await keyless(await sigstore());
    const { signer, trust: keys } = await newKey();
    const collected = await signAndCollect(fixture, signer);
    const both = { ...keys, root: trust.root, keysNeedLog: true };
    await expectRejected(fixture, collected, both, /not in a trusted log/);
    await expectRejected(fixture, collected, { ...keys, keysNeedLog: true }, /no trusted root/);
  });

  it.each<[string, RegExp, Partial<Statement>]>([
    ['names no image', /another image/, { subject: [] }],
    ['has another type', /not an in-toto statement/, { _type: 'https://example.org/v1' }],
    ['has no predicate type', /not an in-toto statement/, { predicateType: '' }],
    ['has another algorithm', /another image/, { subject: [{ digest: { sha512: 'x' } }] }],
  ])('if the signed statement %s', async (_what, reason, change) => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const whole = statementAbout({ name: 'app', digest: fixture.subject.digest }, 'x', {});
    const collected = await signedStatement(signer, { ...whole, ...change });
    await expectRejected(fixture, collected, trust, reason);
  });

  it('if it has attestations but no signature', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await newKey();
    const { digest } = fixture.subject;
    const statement = statementAbout({ name: 'app', digest }, 'https://slsa.dev/provenance/v1', {});
    const collected = await signedStatement(signer, statement);
    const verified = await verifyImage({ subject: digest, collected, trust });
    expect(verified.signatures).toHaveLength(1);
    expect(verdictOf(fixture, verified, trust).accepted).toBe(false);
  });

  it.each([
    ['twice the same key', '{"payload":"","payload":""}', /has the key "payload" twice/],
    ['an escaped key twice', '{"a":[{"b":1}],"\\u0061":2}', /has the key "a" twice/],
    [
      'a line of another report',
      '{"x\\n\\u001b[2Kapp  accepted":1,"x\\n\\u001b[2Kapp  accepted":2}',
      /^the bundle has the key "x\?\?\[2Kapp {2}accepted" twice$/,
    ],
    [
      'a right-to-left override',
      '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","\\u202ex":1}',
      /^[^\p{Cc}\p{Cf}]+$/u,
    ],
    [
      'a long key twice',
      `{"${'x'.repeat(100_000)}":1,"${'x'.repeat(100_000)}":2}`,
      /^the bundle has the key "x{100,490}…$/,
    ],
    [
      'a long list',
      JSON.stringify({ signatures: Array.from({ length: 65 }, () => ({})) }),
      /a list of more than 64/,
    ],
    ['megabytes', JSON.stringify({ hint: 'x'.repeat(2 ** 21) }), /larger than 1 MiB/],
  ])('if its bundle has %s', async (_, text, reason) => {
    const fixture = await createFixture();
    const { trust } = await newKey();
    const items = [{ kind: 'bundle', source: 'here', bytes: Buffer.from(text) }] as const;
    await expectRejected(fixture, { items, unreadable: [] }, trust, reason);
  });
});

/** Evaluates a policy for an image with a good signature, after a change of its registry. */
async function verdictWith(change: (fixture: Fixture) => Promise<void> | void): Promise<Verdict> {
  const fixture = await createFixture();
  const { registry, store, subject, name } = fixture;
  const { signer, trust } = await newKey();
  await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  await change(fixture);
  const image = { ...name, digest: subject.digest };
  const rule = {
    name: 'p',
    images: [parseImagePattern('**')],
    signers: { threshold: 1, keys: trust.keys ?? [], identities: [] },
  };
  const source = { name: 'the registry', collect: () => registrySignatures(registry, image) };
  const policy = { name: 'p', required: [], unsigned: [], rules: [rule] };
  return (await evaluatePolicies(image, [policy], [source])).verdict;
}
function tagOf({ subject }: Fixture, suffix: string): string {
  return `${subject.digest.replace(':', '-')}${suffix}`;
}

function removeSig(fixture: Fixture): void {
  fixture.server.storage.repository(fixture.name.path).tags.delete(tagOf(fixture, '.sig'));
}

describe('a good signature counts', () => {
  it.each([401, 403, 500])('if the list of referrers has status %i', async (status) => {
    const verdict = await verdictWith(({ server }) =>
      server.fault({ method: 'GET', path: /referrers/, times: 1000 }, { kind: 'respond', status }),
    );
    expect(verdict).toMatchObject({ accepted: true });
  });

  it.each([401, 403, 500])('if the tag of signatures has status %i', async (status) => {
    const verdict = await verdictWith(({ server }) =>
      server.fault({ method: 'GET', path: /\.sig$/, times: 1000 }, { kind: 'respond', status }),
    );
    expect(verdict).toMatchObject({ accepted: true });
  });

  it.each(['', '.sig', '.att'])('if the tag sha256-HEX%s is not JSON', async (suffix) => {
    const verdict = await verdictWith((fixture) =>
      fixture.server.fault(
        { method: 'GET', path: new RegExp(`${tagOf(fixture, suffix)}$`), times: 1000 },
        {
          kind: 'respond',
          status: 200,
          headers: { 'content-type': MediaType.ociIndex },
          body: 'not JSON',
        },
      ),
    );
    expect(verdict).toMatchObject({ accepted: true });
  });

  it.each<[string, (subject: Descriptor) => unknown]>([
    ['nothing', () => ''],
    ['null', () => 'null'],
    ['a list', () => '[]'],
    ['deep lists', () => `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
    ['an image', ({ digest, size }) => ({ config: { mediaType: 'x', digest, size }, layers: [] })],
    ['the image itself', (subject) => ({ manifests: [subject] })],
    [
      'the image as a signature',
      (subject) => ({ manifests: [{ ...subject, artifactType: BUNDLE_V03 }] }),
    ],
    [
      'a signature of petabytes',
      (subject) => ({ manifests: [{ ...subject, artifactType: BUNDLE_V03, size: 2 ** 52 }] }),
    ],
    [
      'a signature of no bytes',
      (subject) => ({ manifests: [{ ...subject, artifactType: BUNDLE_V03, size: 0 }] }),
    ],
    [
      'an index as a signature',
      (subject) => ({
        manifests: [{ ...subject, artifactType: BUNDLE_V03, mediaType: MediaType.ociIndex }],
      }),
    ],
    [
      'a missing signature',
      (subject) => ({
        manifests: [{ ...subject, artifactType: BUNDLE_V03, digest: `sha256:${'0'.repeat(64)}` }],
      }),
    ],
    [
      'a digest that is a path',
      (subject) => ({ manifests: [{ ...subject, digest: `sha256:../${'0'.repeat(61)}` }] }),
    ],
    [
      'one signature a thousand times',
      (subject) => ({
        manifests: Array.from({ length: 1000 }, () => ({ ...subject, artifactType: BUNDLE_V03 })),
      }),
    ],
  ])('if the list of referrers is %s', async (_what, list) => {
    const verdict = await verdictWith((fixture) => {
      const value = list(fixture.subject);
      const document = { schemaVersion: 2, mediaType: MediaType.ociIndex, ...(value as object) };
      fixture.server.fault(
        { method: 'GET', path: /referrers/, times: 1000 },
        {
          kind: 'respond',
          status: 200,
          headers: { 'content-type': MediaType.ociIndex },
          body: typeof value === 'string' ? value : JSON.stringify(document),
        },
      );
    });
    expect(verdict).toMatchObject({ accepted: true });
  });

  it('beside hundreds of other referrers', async () => {
    const verdict = await verdictWith(async (fixture) => {
      removeSig(fixture);
      for (let count = 0; count < 300; count += 1)
        await pushReferrer(fixture, fixture.subject, 'text/plain', undefined, {
          count: `${count}`,
        });
    });
    expect(verdict).toMatchObject({ accepted: true });
  });

  it('beside bundles that would fill the memory', async () => {
    const verdict = await verdictWith(async (fixture) => {
      removeSig(fixture);
      const bytes = Buffer.alloc(50 * 2 ** 20);
      for (let count = 0; count < 6; count += 1)
        await pushReferrer(
          fixture,
          fixture.subject,
          BUNDLE_V03,
          { mediaType: BUNDLE_V03, bytes },
          { count: `${count}` },
        );
    });
    expect(verdict).toMatchObject({ accepted: true });
  });
});

it('reads signatures only up to the memory limit', async () => {
  const fixture = await createFixture();
  const { store, subject } = fixture;
  const { signer, trust } = await newKey();
  await signImage(store, { subject, name: fixture.name, signer });
  const content = await store.writeBytes(Buffer.alloc(60 * 2 ** 20));
  const artifactType = BUNDLE_V03;
  const layers = [{ mediaType: artifactType, ...content }];
  for (let count = 0; count < 6; count += 1)
    await store.addReferrer(
      await writeReferrer(store, { subject, artifactType, layers, annotations: { n: `${count}` } }),
    );
  const collected = await collectFromStore(store, subject.digest);
  const total = collected.items.reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect(total).toBeLessThanOrEqual(256 * 2 ** 20);
  expect(collected.unreadable).toHaveLength(2);
  for (const { reason } of collected.unreadable) expect(reason).toMatch(/exceed 256 MiB/);
  expect((await verifyImage({ subject: subject.digest, collected, trust })).signatures).not.toEqual(
    [],
  );
});

describe('a signature is found', () => {
  it('beside broken ones, whatever artifact type the registry lists', async () => {
    const fixture = await createFixture();
    const { registry, store, subject, name } = fixture;
    const { signer, trust } = await newKey();
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    for (const bytes of ['not JSON', '{}', 'null', '{"mediaType":"x"}'])
      await pushReferrer(fixture, subject, 'text/plain', {
        mediaType: BUNDLE_V03,
        bytes: Buffer.from(bytes),
      });
    const image = { ...name, digest: subject.digest };
    const collected = await collectFromRegistry(registry, image);
    const verified = await verifyImage({ subject: subject.digest, collected, trust });
    expect(verdictOf(fixture, verified, trust).accepted).toBe(true);
    expect(verified.signatures).toHaveLength(2);
    expect(verified.rejections).toHaveLength(4);
  });

  it('beside those of other signers', async () => {
    const { registry, store, subject, name } = await createFixture();
    const image = { ...name, digest: subject.digest };
    const keys = [];
    for (const { signer, trust } of [await newKey(), await newKey()]) {
      await signImage(store, { subject, name, signer });
      await pushSignatures(registry, store, name, subject.digest);
      keys.push(...(trust.keys ?? []));
    }
    await pushSignatures(registry, store, name, subject.digest);
    const collected = await collectFromRegistry(registry, image);
    const { signatures } = await verifyImage({
      subject: subject.digest,
      collected,
      trust: { keys },
    });
    expect(signatures).toHaveLength(4);
    expect(new Set(signatures.map(({ signer }) => JSON.stringify(signer))).size).toBe(2);
  });

  it('with the time of an authority, if its log states none, as Rekor 2', async () => {
    const fixture = await createFixture();
    const { signer, trust } = await keyless(await sigstore(), { tsa: true });
    const collected = onlyBundle(await signAndCollect(fixture, signer), withoutLogTime);
    const verified = await verifyImage({ subject: fixture.subject.digest, collected, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures[0]?.time).toBeInstanceOf(Date);
  });

  it('by a logged key, with its time', async () => {
    const { store, subject, name } = await createFixture();
    const instance = await sigstore();
    const { trust } = await keyless(instance);
    const { signer, trust: keys } = await newKey({ rekorUrl: instance.url, tsaUrl: instance.url });
    await signImage(store, { subject, name, signer });
    const collected = await collectFromStore(store, subject.digest);
    const both = { ...keys, root: trust.root, keysNeedLog: true };
    const verified = await verifyImage({ subject: subject.digest, collected, trust: both });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
    for (const { time } of verified.signatures) expect(time).toBeInstanceOf(Date);
  });
});
