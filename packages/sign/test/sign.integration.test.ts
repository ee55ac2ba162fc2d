import { type Digest, digestHex } from '@lkt/core';
import { type Descriptor, MediaType, parseManifest, writeIndex } from '@lkt/oci';
import type { TestSigstore } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry, collectFromStore } from '../src/referrers/collect-signatures.ts';
import { pushSignatures } from '../src/referrers/push-signatures.ts';
import { keylessSigner, type Signer } from '../src/signing/signer.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { type SignedImage, signImage, signImages } from '../src/signing/sign-images.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import {
  keyless,
  newImage,
  newKey,
  type Fixture,
  createFixture,
  sigstore,
  verdictOf,
  WORKFLOW,
} from './support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('signatures in a registry %s', (_what, options) => {
  it('by a key are found and valid', async () => {
    const { registry, store, subject, name } = await createFixture(options);
    const { signer, trust } = await newKey();
    const statement = statementAbout({ name: 'app', digest: subject.digest }, PROVENANCE, { a: 1 });
    await signImage(store, { subject, name, statements: [statement], signer });
    const pushed = await pushSignatures(registry, store, name, subject.digest);
    expect(pushed).toMatchObject({ bundles: 2, signatures: 1, changed: true });
    const again = await pushSignatures(registry, store, name, subject.digest);
    expect(again).toEqual({ bundles: 2, signatures: 1, bytes: 0, changed: false });
    const { digest } = subject;
    for (const collected of [
      await collectFromStore(store, digest),
      await collectFromRegistry(registry, { ...name, digest }),
    ]) {
      const verified = await verifyImage({ subject: digest, collected, trust });
      expect(verified.rejections).toEqual([]);
      const types = verified.signatures.map(({ predicateType }) => predicateType);
      expect(new Set(types)).toEqual(new Set([SIGNATURE_PREDICATE, PROVENANCE]));
      expect(new Set(verified.signatures.map(({ signer: by }) => by.kind))).toEqual(
        new Set(['key']),
      );
      expect(verdictOf({ name, subject }, verified, trust).accepted).toBe(true);
    }
  });

  it('by an identity are found and valid, with times and log indices', async () => {
    const { registry, store, subject, name } = await createFixture(options);
    const instance = await sigstore();
    const { signer, trust } = await keyless(instance, { tsa: true });
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const { digest } = subject;
    const collected = await collectFromRegistry(registry, { ...name, digest });
    const verified = await verifyImage({ subject: digest, collected, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
    for (const { signer: by, time } of verified.signatures) {
      expect(by).toEqual({ kind: 'identity', subject: WORKFLOW, issuer: instance.issuer.url });
      expect(time).toBeInstanceOf(Date);
    }
    expect(new Set(verified.signatures.map(({ logIndex }) => logIndex))).toEqual(new Set([1, 2]));
  });
});

/** Signs an image again, with the signatures of the registry and the store as the existing ones. */
async function signAgain(
  { store, registry, subject, name }: Fixture,
  signer: Signer,
  predicate: unknown = {},
): Promise<SignedImage> {
  const { digest } = subject;
  const items = [
    ...(await collectFromStore(store, digest)).items,
    ...(await collectFromRegistry(registry, { ...name, digest })).items,
  ];
  const statements = [statementAbout({ name: 'app', digest }, PROVENANCE, predicate)];
  const existing = { items, unreadable: [] };
  const { images } = await signImages(store, {
    images: [{ subject, statements, existing }],
    name,
    signer,
  });
  await pushSignatures(registry, store, name, digest);
  const [image] = images;
  if (image === undefined) throw new Error('the image was not signed');
  return image;
}

describe('signing again', () => {
  const NOTHING = { bundles: [], simple: undefined };

  it('with the same key adds only new statements', async () => {
    const fixture = await createFixture();
    const { signer } = await newKey();
    expect((await signAgain(fixture, signer)).bundles).toHaveLength(2);
    expect(await signAgain(fixture, signer)).toMatchObject(NOTHING);
    const more = await signAgain(fixture, signer, { b: 2 });
    expect(more.bundles).toHaveLength(1);
    expect(more.simple).toBeUndefined();
    // An empty store, with signatures in the registry only.
    const elsewhere = { ...fixture, store: (await createFixture()).store };
    expect(await signAgain(elsewhere, signer)).toMatchObject(NOTHING);
    expect((await signAgain(fixture, (await newKey()).signer)).bundles).toHaveLength(2);
  });

  it('as the same identity, with another certificate, adds nothing', async () => {
    const fixture = await createFixture();
    const instance = await sigstore();
    const { signer } = await keyless(instance);
    expect((await signAgain(fixture, signer)).bundles).toHaveLength(2);
    const size = instance.log.size;
    expect(await signAgain(fixture, (await keyless(instance)).signer)).toMatchObject(NOTHING);
    expect(instance.log.size).toBe(size);
    const other = await keyless(instance, { subject: 'jane@example.org' });
    expect((await signAgain(fixture, other.signer)).bundles).toHaveLength(2);
    // The same name, certified by another authority, is another signer.
    const impostor = await keyless(await sigstore());
    expect((await signAgain(fixture, impostor.signer)).bundles).toHaveLength(2);
  });

  it('with a log or timestamps adds signatures that have them', async () => {
    const fixture = await createFixture();
    const { url } = await sigstore();
    const first = await newKey();
    await signAgain(fixture, first.signer);
    for (const witness of [{ rekorUrl: url }, { rekorUrl: url, tsaUrl: url }]) {
      const again = first.with(witness);
      expect((await signAgain(fixture, again)).bundles, JSON.stringify(witness)).toHaveLength(2);
      expect(await signAgain(fixture, again)).toMatchObject(NOTHING);
    }
  });
});

it('signs several images with one certificate, or none of them', async () => {
  const { store, subject, name } = await createFixture();
  const instance = await sigstore();
  const other = await newImage(store);
  const { signer } = await keyless(instance);
  const images = [{ subject }, { subject: other }];
  // The first image needs two entries.
  instance.refuse('/api/v1/log/entries', 3);
  await expect(signImages(store, { images, name, signer })).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    message: expect.stringContaining('not today') as string,
  });
  for (const { digest } of [subject, other]) expect(await store.referrers(digest)).toEqual([]);
  expect(instance.requests.filter(({ path }) => path.endsWith('/signingCert'))).toHaveLength(1);
});

it('does not keep signatures that the trusted root would reject', async () => {
  const { store, subject, name } = await createFixture();
  const [instance, other] = [await sigstore(), await sigstore()];
  const options = { fulcioUrl: instance.url, rekorUrl: instance.url, tsaUrl: instance.url };
  const identity = instance.issuer.token(WORKFLOW);
  const signer = async ({ trustedRoot }: TestSigstore): Promise<Signer> =>
    keylessSigner({ ...options, identity, root: await parseTrustedRoot(trustedRoot, 'root.json') });
  await expect(signImage(store, { subject, name, signer: await signer(other) })).rejects.toThrow(
    /^root\.json rejects the new signature: /,
  );
  expect(await store.referrers(subject.digest)).toEqual([]);
  await signImage(store, { subject, name, signer: await signer(instance) });
});

it.each([
  ['sig', 'an index', async ({ store }: Fixture) => writeIndex(store, []), 'index'],
  ['sig', 'an image', async ({ store }: Fixture) => newImage(store), 'image.layer.v1.tar'],
  ['att', 'an image', async ({ store }: Fixture) => newImage(store), 'image.layer.v1.tar'],
] as const)(
  'does not overwrite a tag .%s that has %s, and names it',
  async (suffix, _what, make, said) => {
    const fixture = await createFixture();
    const { store, registry, subject, name } = fixture;
    const { digest } = subject;
    const { signer } = await newKey();
    const statements = [statementAbout({ name: 'app', digest }, PROVENANCE, {})];
    await signImage(store, { subject, name, signer, statements });
    const other = await make(fixture);
    const tag = `sha256-${digestHex(digest)}.${suffix}`;
    await registry.pushImage(store, other, { ...name, tag });
    const error: unknown = await pushSignatures(registry, store, name, digest).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringContaining(`:${tag} is not a signature list`),
    });
    expect(String(error)).toContain(said);
    expect((await registry.resolve({ ...name, tag })).digest).toBe(other.digest);
  },
);

it('keeps foreign layers between signatures', async () => {
  const { store, registry, subject, name } = await createFixture();
  const tag = `sha256-${digestHex(subject.digest)}.sig`;
  const layers = async (): Promise<readonly Descriptor[]> =>
    parseManifest((await registry.fetchManifest({ ...name, tag })).bytes).layers;
  await signImage(store, { subject, name, signer: (await newKey()).signer });
  await pushSignatures(registry, store, name, subject.digest);
  const { bytes } = await registry.fetchManifest({ ...name, tag });
  const foreign = {
    mediaType: 'application/vnd.example.note',
    ...(await store.writeBytes(Buffer.from('note'))),
  };
  const manifest = parseManifest(bytes);
  const more = JSON.stringify({ ...manifest, layers: [...manifest.layers, foreign] });
  const { digest, size } = await store.writeBytes(Buffer.from(more));
  const descriptor = { mediaType: MediaType.ociManifest, digest, size };
  await registry.pushImage(store, descriptor, { ...name, tag });
  await signImage(store, { subject, name, signer: (await newKey()).signer });
  await pushSignatures(registry, store, name, subject.digest);
  expect((await layers()).map(({ mediaType }) => mediaType)).toEqual([
    'application/vnd.dev.cosign.simplesigning.v1+json',
    foreign.mediaType,
    'application/vnd.dev.cosign.simplesigning.v1+json',
  ]);
});

it('does not sign an index that names a foreign image which the signer has not signed', async () => {
  const fixture = await createFixture();
  const { store, registry, subject, name } = fixture;
  const { signer } = await newKey();
  const foreign = async (): Promise<{
    digest: Digest;
    name: string;
    existing: Awaited<ReturnType<typeof collectFromRegistry>>;
  }> => ({
    digest: subject.digest,
    name: 'linux/arm64 of app:1',
    existing: await collectFromRegistry(registry, { ...name, digest: subject.digest }),
  });
  const images = [{ subject: await newImage(store) }];
  const sign = async (): Promise<object> =>
    signImages(store, { images, foreign: [await foreign()], name, signer });
  const refused = { code: 'SIGNATURE_INVALID' };
  await expect(sign()).rejects.toMatchObject(refused);
  await signAgain(fixture, (await newKey()).signer);
  await expect(sign()).rejects.toMatchObject(refused);
  await signAgain(fixture, signer);
  await sign();
});
