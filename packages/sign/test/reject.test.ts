import { writeReferrer } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { signStatement } from '../src/bundle/bundle.ts';
import { collectFromRegistry, collectFromStore } from '../src/evidence/collect.ts';
import type { Evidence } from '../src/evidence/evidence.ts';
import { BUNDLE_V03 } from '../src/bundle/formats.ts';
import { pushSignatures } from '../src/evidence/push.ts';
import { signImage } from '../src/signing/sign.ts';
import type { Signer } from '../src/signing/signer.ts';
import { SIGNATURE_PREDICATE, type Statement, statementAbout } from '../src/statement/statement.ts';
import type { Trust } from '../src/verify/verified.ts';
import { requireSignature, verifyImage } from '../src/verify/verify.ts';
import { keyless, newImage, newKey, type Place, place, sigstore, WORKFLOW } from './support.ts';

/** What is beside an image after it has been signed. */
async function evidenceOf({ store, subject, name }: Place, signer: Signer): Promise<Evidence> {
  await signImage(store, { subject, name, signer });
  return collectFromStore(store, subject.digest);
}

async function expectRejected(
  { subject }: Place,
  evidence: Evidence,
  trust: Trust,
  reason: RegExp,
): Promise<void> {
  const verified = await verifyImage({ subject: subject.digest, evidence, trust });
  expect(verified.signatures).toEqual([]);
  for (const { reason: said } of verified.rejections) expect(said).toMatch(reason);
  const required = (): void => {
    requireSignature(verified, 'app');
  };
  expect(required).toThrow(expect.objectContaining({ code: 'SIGNATURE_INVALID' }) as Error);
}

function onlyBundle({ items }: Evidence, change: (document: BundleJson) => void): Evidence {
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

async function signedStatement(signer: Signer, statement: Statement): Promise<Evidence> {
  await using session = await signer.open();
  const { bytes } = await signStatement(session, statement);
  return { items: [{ kind: 'bundle', source: 'here', bytes }], unreadable: [] };
}

describe('an image is refused', () => {
  it('when it is not signed', async () => {
    const there = await place();
    const { trust } = await newKey();
    const evidence = await collectFromStore(there.store, there.subject.digest);
    const verified = await verifyImage({ subject: there.subject.digest, evidence, trust });
    expect(() => {
      requireSignature(verified, 'lkt/app');
    }).toThrow('lkt/app is not signed');
  });

  it('when all that was signed has been deleted from the registry', async () => {
    const there = await place();
    const { registry, store, subject, name } = there;
    const { signer, trust } = await newKey();
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const image = { ...name, digest: subject.digest };
    for (const { digest } of await registry.referrers(image))
      await registry.delete({ ...name, digest });
    const tag = `${subject.digest.replace(':', '-')}.sig`;
    await registry.delete({ ...name, tag });
    const evidence = await collectFromRegistry(registry, image);
    await expectRejected(there, evidence, trust, /^$/);
  });

  it('when the registry does not say what is beside it', async () => {
    const { registry, server, subject, name } = await place();
    server.fault({ method: 'GET', path: /referrers/, times: 100 }, { kind: 'answer', status: 500 });
    await expect(
      collectFromRegistry(registry, { ...name, digest: subject.digest }),
    ).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  });

  it('when it is signed with another key', async () => {
    const there = await place();
    const [mine, theirs] = [await newKey(), await newKey()];
    const evidence = await evidenceOf(there, theirs.signer);
    await expectRejected(there, evidence, mine.trust, /a key that is (not )?trusted/);
    await expectRejected(there, evidence, {}, /no key is trusted/);
  });

  it.each<[string, (who: { subject: string; issuer: string }) => object]>([
    ['another subject', ({ issuer }) => ({ issuer, subject: 'https://github.example/evil' })],
    ['another issuer', ({ subject }) => ({ subject, issuer: 'https://issuer.example.org' })],
    ['the start of the subject', ({ issuer }) => ({ issuer, subject: WORKFLOW.slice(0, -1) })],
    ['the end of the subject', ({ issuer }) => ({ issuer, subject: WORKFLOW.slice(1) })],
    ['a pattern', ({ issuer }) => ({ issuer, subject: '.*' })],
    ['nobody', () => ({ issuer: '', subject: '' })],
  ])('when it is signed by somebody else than who is trusted: %s', async (_what, other) => {
    const there = await place();
    const { signer, trust } = await keyless(await sigstore());
    const evidence = await evidenceOf(there, signer);
    const [who] = trust.identities ?? [];
    if (who === undefined) throw new Error('nobody is trusted');
    const identities = [other(who) as typeof who];
    await expectRejected(there, evidence, { ...trust, identities }, /who is not trusted/);
  });

  it('when its signer is vouched for by another instance', async () => {
    const there = await place();
    const { signer } = await keyless(await sigstore());
    const { trust } = await keyless(await sigstore());
    const evidence = await evidenceOf(there, signer);
    await expectRejected(there, evidence, trust, /authority|log/);
    await expectRejected(there, evidence, { ...trust, root: undefined }, /no trusted root/);
  });

  it('when its certificate had expired', async () => {
    const there = await place();
    const hourAgo = new Date(Date.now() - 3_600_000);
    const { signer, trust } = await keyless(await sigstore({ certificatesFrom: hourAgo }));
    const evidence = await evidenceOf(there, signer);
    await expectRejected(there, evidence, trust, /valid from .* and not when it was logged/);
  });

  it('when what is there is of another image', async () => {
    const there = await place();
    const { store, name } = there;
    const { signer, trust } = await newKey();
    const other = { ...there, subject: await newImage(store) };
    const evidence = await evidenceOf(other, signer);
    const digest = new RegExp(`another image, ${other.subject.digest}`);
    await expectRejected(there, evidence, trust, digest);
    // Put beside this one as it was beside that.
    const bundle = evidence.items.find(({ kind }) => kind === 'bundle');
    await there.registry.pushArtifact(name, {
      artifactType: BUNDLE_V03,
      subject: there.subject,
      layers: [{ mediaType: BUNDLE_V03, bytes: bundle?.bytes ?? Buffer.of() }],
    });
    const moved = await collectFromRegistry(there.registry, {
      ...name,
      digest: there.subject.digest,
    });
    await expectRejected(there, moved, trust, digest);
  });

  it('when it has the log entry of another signature', async () => {
    const there = await place();
    const { signer, trust } = await keyless(await sigstore());
    const statement = statementAbout(
      { name: 'app', digest: there.subject.digest },
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
    await expectRejected(there, replayed, trust, /the log entry is of another signature/);
  });

  it.each<[string, RegExp, (entry: Record<string, unknown>) => void]>([
    ['its proof', /inclusionProof/, (entry) => delete entry['inclusionProof']],
    [
      'its promise, and so its time',
      /when it was signed is not proven/,
      (entry) => delete entry['inclusionPromise'],
    ],
  ])('when its log entry lacks %s', async (_what, reason, change) => {
    const there = await place();
    const { signer, trust } = await keyless(await sigstore());
    const evidence = onlyBundle(
      await evidenceOf(there, signer),
      ({ verificationMaterial: { tlogEntries } }) => {
        for (const entry of tlogEntries) change(entry);
      },
    );
    await expectRejected(there, evidence, trust, reason);
  });

  it('when it is in no log', async () => {
    const there = await place();
    const { signer, trust } = await keyless(await sigstore(), { tsa: true });
    const evidence = onlyBundle(await evidenceOf(there, signer), ({ verificationMaterial }) => {
      verificationMaterial.tlogEntries = [];
    });
    await expectRejected(there, evidence, trust, /not in a trusted log/);
  });

  it('when somebody logged the signature of a key as theirs', async () => {
    const there = await place();
    const instance = await sigstore();
    const { trust } = await keyless(instance);
    const mine = await newKey({ rekorUrl: instance.url });
    const theirs = await keyless(instance);
    const entries = await evidenceOf(there, theirs.signer);
    let entry: Record<string, unknown>[] = [];
    onlyBundle(entries, (document) => {
      entry = document.verificationMaterial.tlogEntries;
    });
    const other = await place();
    const evidence = onlyBundle(await evidenceOf(other, mine.signer), (document) => {
      document.verificationMaterial.tlogEntries = entry;
    });
    const both = { ...mine.trust, root: trust.root };
    await expectRejected(other, evidence, both, /the log entry is of another/);
  });

  it('when a key has to be in a log, and its signature is not', async () => {
    const there = await place();
    const { trust } = await keyless(await sigstore());
    const { signer, trust: keys } = await newKey();
    const evidence = await evidenceOf(there, signer);
    const both = { ...keys, root: trust.root, keysNeedLog: true };
    await expectRejected(there, evidence, both, /not in a trusted log/);
    await expectRejected(there, evidence, { ...keys, keysNeedLog: true }, /no trusted root/);
  });

  it.each<[string, RegExp, Partial<Statement>]>([
    ['names no image', /another image/, { subject: [] }],
    ['is of another kind', /not an in-toto statement/, { _type: 'https://example.org/v1' }],
    ['says nothing', /not an in-toto statement/, { predicateType: '' }],
    ['has another algorithm', /another image/, { subject: [{ digest: { sha512: 'x' } }] }],
  ])('when what is signed %s', async (_what, reason, change) => {
    const there = await place();
    const { signer, trust } = await newKey();
    const whole = statementAbout({ name: 'app', digest: there.subject.digest }, 'x', {});
    const evidence = await signedStatement(signer, { ...whole, ...change });
    await expectRejected(there, evidence, trust, reason);
  });

  it('when it has attestations and no signature', async () => {
    const there = await place();
    const { signer, trust } = await newKey();
    const { digest } = there.subject;
    const statement = statementAbout({ name: 'app', digest }, 'https://slsa.dev/provenance/v1', {});
    const evidence = await signedStatement(signer, statement);
    const verified = await verifyImage({ subject: digest, evidence, trust });
    expect(verified.signatures).toHaveLength(1);
    expect(() => {
      requireSignature(verified, 'app');
    }).toThrow('app has attestations, but no signature');
  });

  it('when there is so much beside it that nobody could read it', async () => {
    const there = await place();
    const { registry, subject, name } = there;
    for (let count = 0; count < 201; count += 1)
      await registry.pushArtifact(name, {
        artifactType: 'text/plain',
        subject,
        layers: [],
        annotations: { count: String(count) },
      });
    await expect(
      collectFromRegistry(registry, { ...name, digest: subject.digest }),
    ).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
  });
});

it('what is beside an image is read as far as memory has room for it', async () => {
  const there = await place();
  const { store, subject } = there;
  const { signer, trust } = await newKey();
  await signImage(store, { subject, name: there.name, signer });
  const content = await store.writeBytes(Buffer.alloc(60 * 2 ** 20));
  const artifactType = BUNDLE_V03;
  const layers = [{ mediaType: artifactType, ...content }];
  for (let count = 0; count < 6; count += 1)
    await store.addReferrer(
      await writeReferrer(store, { subject, artifactType, layers, annotations: { n: `${count}` } }),
    );
  const evidence = await collectFromStore(store, subject.digest);
  const total = evidence.items.reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect(total).toBeLessThanOrEqual(256 * 2 ** 20);
  expect(evidence.unreadable).toHaveLength(2);
  for (const { reason } of evidence.unreadable) expect(reason).toMatch(/more than 256 MiB/);
  expect((await verifyImage({ subject: subject.digest, evidence, trust })).signatures).not.toEqual(
    [],
  );
});

describe('a signature is found', () => {
  it('beside others that are broken, whatever the registry says they are', async () => {
    const there = await place();
    const { registry, store, subject, name } = there;
    const { signer, trust } = await newKey();
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    for (const bytes of ['not JSON', '{}', 'null', '{"mediaType":"x"}'])
      await registry.pushArtifact(name, {
        artifactType: 'text/plain',
        subject,
        layers: [{ mediaType: BUNDLE_V03, bytes: Buffer.from(bytes) }],
      });
    const image = { ...name, digest: subject.digest };
    const evidence = await collectFromRegistry(registry, image);
    const verified = await verifyImage({ subject: subject.digest, evidence, trust });
    requireSignature(verified, 'app');
    expect(verified.signatures).toHaveLength(2);
    expect(verified.rejections).toHaveLength(4);
  });

  it('beside those of others, when several sign', async () => {
    const { registry, store, subject, name } = await place();
    const image = { ...name, digest: subject.digest };
    const keys = [];
    for (const { signer, trust } of [await newKey(), await newKey()]) {
      await signImage(store, { subject, name, signer });
      await pushSignatures(registry, store, name, subject.digest);
      keys.push(...(trust.keys ?? []));
    }
    await pushSignatures(registry, store, name, subject.digest);
    const evidence = await collectFromRegistry(registry, image);
    const { signatures } = await verifyImage({
      subject: subject.digest,
      evidence,
      trust: { keys },
    });
    expect(signatures).toHaveLength(4);
    expect(new Set(signatures.map(({ signer }) => JSON.stringify(signer))).size).toBe(2);
  });

  it('of a key that is in a log, with its time', async () => {
    const { store, subject, name } = await place();
    const instance = await sigstore();
    const { trust } = await keyless(instance);
    const { signer, trust: keys } = await newKey({ rekorUrl: instance.url, tsaUrl: instance.url });
    await signImage(store, { subject, name, signer });
    const evidence = await collectFromStore(store, subject.digest);
    const both = { ...keys, root: trust.root, keysNeedLog: true };
    const verified = await verifyImage({ subject: subject.digest, evidence, trust: both });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
    for (const { time } of verified.signatures) expect(time).toBeInstanceOf(Date);
  });
});
