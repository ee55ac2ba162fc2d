import { type Digest, digestHex } from '@lkt/core';
import { type Descriptor, MediaType, parseManifest, writeIndex } from '@lkt/oci';
import type { TestSigstore } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry, collectFromStore } from '../src/evidence/collect.ts';
import { pushSignatures } from '../src/evidence/push.ts';
import { keylessSigner, type Signer } from '../src/signing/signer.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { type SignedImage, signImage, signImages } from '../src/signing/sign.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import { requireSignature, verifyImage } from '../src/verify/verify.ts';
import { keyless, newImage, newKey, type Place, place, sigstore, WORKFLOW } from './support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('signatures in a registry %s', (_what, options) => {
  it('of a key are found and good', async () => {
    const { registry, store, subject, name } = await place(options);
    const { signer, trust } = await newKey();
    const statement = statementAbout({ name: 'app', digest: subject.digest }, PROVENANCE, { a: 1 });
    await signImage(store, { subject, name, statements: [statement], signer });
    const pushed = await pushSignatures(registry, store, name, subject.digest);
    expect(pushed).toMatchObject({ bundles: 2, signatures: 1, changed: true });
    const again = await pushSignatures(registry, store, name, subject.digest);
    expect(again).toEqual({ bundles: 2, signatures: 1, bytes: 0, changed: false });
    const { digest } = subject;
    for (const evidence of [
      await collectFromStore(store, digest),
      await collectFromRegistry(registry, { ...name, digest }),
    ]) {
      const verified = await verifyImage({ subject: digest, evidence, trust });
      expect(verified.rejections).toEqual([]);
      const types = verified.signatures.map(({ predicateType }) => predicateType);
      expect(new Set(types)).toEqual(new Set([SIGNATURE_PREDICATE, PROVENANCE]));
      expect(new Set(verified.signatures.map(({ signer: by }) => by.kind))).toEqual(
        new Set(['key']),
      );
      requireSignature(verified, 'app');
    }
  });

  it('of an identity are found and good, with times and places in the log', async () => {
    const { registry, store, subject, name } = await place(options);
    const instance = await sigstore();
    const { signer, trust } = await keyless(instance, { tsa: true });
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const { digest } = subject;
    const evidence = await collectFromRegistry(registry, { ...name, digest });
    const verified = await verifyImage({ subject: digest, evidence, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
    for (const { signer: by, time } of verified.signatures) {
      expect(by).toEqual({ kind: 'identity', subject: WORKFLOW, issuer: instance.issuer.url });
      expect(time).toBeInstanceOf(Date);
    }
    expect(new Set(verified.signatures.map(({ logIndex }) => logIndex))).toEqual(new Set([1, 2]));
  });
});

/** Signs an image as what is beside it in the registry and the store allows. */
async function signAgain(
  { store, registry, subject, name }: Place,
  signer: Signer,
  predicate: unknown = {},
): Promise<SignedImage> {
  const { digest } = subject;
  const items = [
    ...(await collectFromStore(store, digest)).items,
    ...(await collectFromRegistry(registry, { ...name, digest })).items,
  ];
  const statements = [statementAbout({ name: 'app', digest }, PROVENANCE, predicate)];
  const known = { items, unreadable: [] };
  const { images } = await signImages(store, {
    images: [{ subject, statements, known }],
    name,
    signer,
  });
  await pushSignatures(registry, store, name, digest);
  const [image] = images;
  if (image === undefined) throw new Error('it is not among those that were signed');
  return image;
}

describe('signing again', () => {
  const NOTHING = { bundles: [], simple: undefined };

  it('with the same key signs what is new and no more', async () => {
    const there = await place();
    const { signer } = await newKey();
    expect((await signAgain(there, signer)).bundles).toHaveLength(2);
    expect(await signAgain(there, signer)).toMatchObject(NOTHING);
    const more = await signAgain(there, signer, { b: 2 });
    expect(more.bundles).toHaveLength(1);
    expect(more.simple).toBeUndefined();
    // Where nothing is in the store, and for others.
    const elsewhere = { ...there, store: (await place()).store };
    expect(await signAgain(elsewhere, signer)).toMatchObject(NOTHING);
    expect((await signAgain(there, (await newKey()).signer)).bundles).toHaveLength(2);
  });

  it('as the same identity, with another certificate', async () => {
    const there = await place();
    const instance = await sigstore();
    const { signer } = await keyless(instance);
    expect((await signAgain(there, signer)).bundles).toHaveLength(2);
    const size = instance.log.size;
    expect(await signAgain(there, (await keyless(instance)).signer)).toMatchObject(NOTHING);
    expect(instance.log.size).toBe(size);
    const other = await keyless(instance, { subject: 'jane@example.org' });
    expect((await signAgain(there, other.signer)).bundles).toHaveLength(2);
    // What another authority says of somebody of that name is of somebody else.
    const impostor = await keyless(await sigstore());
    expect((await signAgain(there, impostor.signer)).bundles).toHaveLength(2);
  });

  it('with a log or times, which were not there before', async () => {
    const there = await place();
    const { url } = await sigstore();
    const first = await newKey();
    await signAgain(there, first.signer);
    for (const witness of [{ rekorUrl: url }, { rekorUrl: url, tsaUrl: url }]) {
      const again = first.with(witness);
      expect((await signAgain(there, again)).bundles, JSON.stringify(witness)).toHaveLength(2);
      expect(await signAgain(there, again)).toMatchObject(NOTHING);
    }
  });
});

it('several images are signed with one certificate, or none is', async () => {
  const { store, subject, name } = await place();
  const instance = await sigstore();
  const other = await newImage(store);
  const { signer } = await keyless(instance);
  const images = [{ subject }, { subject: other }];
  // The first image takes two entries.
  instance.refuse('/api/v1/log/entries', 3);
  await expect(signImages(store, { images, name, signer })).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    message: expect.stringContaining('not today') as string,
  });
  for (const { digest } of [subject, other]) expect(await store.referrers(digest)).toEqual([]);
  expect(instance.requests.filter(({ path }) => path.endsWith('/signingCert'))).toHaveLength(1);
});

it('what others will not believe is not kept', async () => {
  const { store, subject, name } = await place();
  const [instance, other] = [await sigstore(), await sigstore()];
  const options = { fulcioUrl: instance.url, rekorUrl: instance.url, tsaUrl: instance.url };
  const identity = instance.issuer.token(WORKFLOW);
  const signer = async ({ trustedRoot }: TestSigstore): Promise<Signer> =>
    keylessSigner({ ...options, identity, root: await parseTrustedRoot(trustedRoot, 'root.json') });
  await expect(signImage(store, { subject, name, signer: await signer(other) })).rejects.toThrow(
    /^what was signed would be refused by root\.json: /,
  );
  expect(await store.referrers(subject.digest)).toEqual([]);
  await signImage(store, { subject, name, signer: await signer(instance) });
});

it.each([
  ['sig', 'an index', async ({ store }: Place) => writeIndex(store, []), 'index'],
  ['sig', 'an image', async ({ store }: Place) => newImage(store), 'image.layer.v1.tar'],
  ['att', 'an image', async ({ store }: Place) => newImage(store), 'image.layer.v1.tar'],
] as const)(
  'a tag .%s that has %s stays as it is, and is named',
  async (suffix, _what, make, said) => {
    const there = await place();
    const { store, registry, subject, name } = there;
    const { digest } = subject;
    const { signer } = await newKey();
    const statements = [statementAbout({ name: 'app', digest }, PROVENANCE, {})];
    await signImage(store, { subject, name, signer, statements });
    const other = await make(there);
    const tag = `sha256-${digestHex(digest)}.${suffix}`;
    await registry.pushImage(store, other, { ...name, tag });
    const error: unknown = await pushSignatures(registry, store, name, digest).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringContaining(`:${tag} is no list of signatures`),
    });
    expect(String(error)).toContain(said);
    expect((await registry.resolve({ ...name, tag })).digest).toBe(other.digest);
  },
);

it('what others have put between signatures stays there', async () => {
  const { store, registry, subject, name } = await place();
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

it('an index is not signed if it names an image of others that the signer has not signed', async () => {
  const there = await place();
  const { store, registry, subject, name } = there;
  const { signer } = await newKey();
  const foreign = async (): Promise<{
    digest: Digest;
    name: string;
    known: Awaited<ReturnType<typeof collectFromRegistry>>;
  }> => ({
    digest: subject.digest,
    name: 'linux/arm64 of app:1',
    known: await collectFromRegistry(registry, { ...name, digest: subject.digest }),
  });
  const images = [{ subject: await newImage(store) }];
  const sign = async (): Promise<object> =>
    signImages(store, { images, foreign: [await foreign()], name, signer });
  const refused = { code: 'SIGNATURE_INVALID' };
  await expect(sign()).rejects.toMatchObject(refused);
  await signAgain(there, (await newKey()).signer);
  await expect(sign()).rejects.toMatchObject(refused);
  await signAgain(there, signer);
  await sign();
});
