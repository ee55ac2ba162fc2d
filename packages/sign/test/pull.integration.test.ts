import { digestHex } from '@lkt/core';
import { openStore, writeReferrer } from '@lkt/oci';
import { createRegistry } from '@lkt/registry';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collectFromStore } from '../src/referrers/collect-signatures.ts';
import { pullSignatures } from '../src/referrers/pull-signatures.ts';
import { pushSignatures } from '../src/referrers/push-signatures.ts';
import { signImage } from '../src/signing/sign-images.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import { newKey, type Fixture, createFixture, temporary } from './support.ts';

/** Returns a store with the image and no signatures. */
async function another({ registry, name, subject }: Fixture) {
  const store = await openStore(await temporary());
  await registry.pullImage(store, { ...name, digest: subject.digest });
  return store;
}

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('from a registry %s', (_what, options) => {
  it('pulls signatures in both forms, and only once', async () => {
    const fixture = await createFixture(options);
    const { registry, store, subject, name } = fixture;
    const { signer, trust } = await newKey();
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const other = await another(fixture);
    expect(await pullSignatures(registry, other, name, subject)).toBeGreaterThanOrEqual(2);
    const before = await other.referrers(subject.digest);
    await pullSignatures(registry, other, name, subject);
    expect(await other.referrers(subject.digest)).toEqual(before);
    const collected = await collectFromStore(other, subject.digest);
    expect(new Set(collected.items.map(({ kind }) => kind))).toEqual(
      new Set(['bundle', 'signature']),
    );
    const verified = await verifyImage({ subject: subject.digest, collected, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
  });
});

it('pulls unsigned documents on request', async () => {
  const fixture = await createFixture();
  const { registry, store, subject, name } = fixture;
  const { signer } = await newKey();
  await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  const layer = await store.writeBytes(Buffer.from('{"spdxVersion":"SPDX-2.3"}'));
  const artifactType = 'application/spdx+json';
  const layers = [{ mediaType: artifactType, ...layer }];
  const document = await writeReferrer(store, { subject, artifactType, layers });
  await registry.pushImage(store, document, { ...name, digest: document.digest });
  const other = await another(fixture);
  await pullSignatures(registry, other, name, subject);
  expect(await other.referrers(subject.digest, artifactType)).toEqual([]);
  await pullSignatures(registry, other, name, subject, { documents: true });
  expect(await other.referrers(subject.digest, artifactType)).toHaveLength(1);
});

it('keeps the store’s signatures when the registry has none', async () => {
  const fixture = await createFixture();
  const { registry, store, subject, name } = fixture;
  const { signer } = await newKey();
  await signImage(store, { subject, name, signer });
  const before = await store.referrers(subject.digest);
  expect(await pullSignatures(registry, store, name, subject)).toBe(0);
  expect(await store.referrers(subject.digest)).toEqual(before);
});

it('skips broken referrers and those of other images', async () => {
  const fixture = await createFixture();
  const { registry, server, store, subject, name } = fixture;
  const { signer } = await newKey();
  const { bundles } = await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  const tag = `sha256-${digestHex(subject.digest)}`;
  // An image under the tag for attestations, and a bundle whose manifest is missing.
  await registry.pushImage(store, subject, { ...name, tag: `${tag}.att` });
  const [bundle] = bundles;
  if (bundle === undefined) throw new Error('there is no bundle');
  const repository = server.storage.repositories.get(name.path);
  repository?.manifests.delete(bundle.digest);
  const other = await another(fixture);
  await pullSignatures(registry, other, name, subject);
  const { items, unreadable } = await collectFromStore(other, subject.digest);
  expect(items.map(({ kind }) => kind)).toEqual(['signature']);
  expect(unreadable).toEqual([]);
});

it('pulls from a mirror in place of the registry', async () => {
  const fixture = await createFixture();
  const { registry, server, store, subject, name } = fixture;
  const { signer } = await newKey();
  await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  const other = await another(fixture);
  const client = createRegistry({
    backoff: [],
    mirrors: { 'registry.invalid': [{ url: `http://${server.host}` }] },
  });
  onTestFinished(async () => client[Symbol.asyncDispose]());
  const elsewhere = { domain: 'registry.invalid', path: name.path };
  const [mirror, ...more] = client.mirrors(elsewhere.domain);
  expect(more).toEqual([]);
  if (mirror === undefined) throw new Error('there is no mirror');
  expect(await pullSignatures(mirror, other, elsewhere, subject)).toBe(2);
  expect(client.mirrors('other.invalid')).toEqual([]);
  expect(server.requests.some(({ path }) => path.includes('ns=registry.invalid'))).toBe(true);
});

it('stops before a registry’s referrers fill the disk', async () => {
  const fixture = await createFixture();
  const { registry, store, subject, name } = fixture;
  // All referrers share one blob: declared sizes count, even where little is downloaded.
  const layer = await store.writeBytes(Buffer.alloc(60 * 2 ** 20));
  for (let number = 0; number < 6; number += 1) {
    const artifactType = `application/vnd.dev.sigstore.bundle.v0.${number}+json`;
    const layers = [{ mediaType: artifactType, ...layer }];
    const referrer = await writeReferrer(store, { subject, artifactType, layers });
    await registry.pushImage(store, referrer, { ...name, digest: referrer.digest });
  }
  const other = await another(fixture);
  expect(await pullSignatures(registry, other, name, subject)).toBe(4);
});
