import { digestHex } from '@lkt/core';
import { openStore, writeReferrer } from '@lkt/oci';
import { createRegistry } from '@lkt/registry';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collectFromStore } from '../src/evidence/collect.ts';
import { pullSignatures } from '../src/evidence/pull.ts';
import { pushSignatures } from '../src/evidence/push.ts';
import { signImage } from '../src/signing/sign.ts';
import { verifyImage } from '../src/verify/verify.ts';
import { newKey, type Place, place, temporary } from './support.ts';

/** A store that has the image and nothing beside it. */
async function another({ registry, name, subject }: Place) {
  const store = await openStore(await temporary());
  await registry.pullImage(store, { ...name, digest: subject.digest });
  return store;
}

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('from a registry %s', (_what, options) => {
  it('signatures come in both forms, and once', async () => {
    const there = await place(options);
    const { registry, store, subject, name } = there;
    const { signer, trust } = await newKey();
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const other = await another(there);
    expect(await pullSignatures(registry, other, name, subject)).toBeGreaterThanOrEqual(2);
    const before = await other.referrers(subject.digest);
    await pullSignatures(registry, other, name, subject);
    expect(await other.referrers(subject.digest)).toEqual(before);
    const evidence = await collectFromStore(other, subject.digest);
    expect(new Set(evidence.items.map(({ kind }) => kind))).toEqual(
      new Set(['bundle', 'signature']),
    );
    const verified = await verifyImage({ subject: subject.digest, evidence, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
  });
});

it('what is not signed comes when it is asked for', async () => {
  const there = await place();
  const { registry, store, subject, name } = there;
  const { signer } = await newKey();
  await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  const layer = await store.writeBytes(Buffer.from('{"spdxVersion":"SPDX-2.3"}'));
  const artifactType = 'application/spdx+json';
  const layers = [{ mediaType: artifactType, ...layer }];
  const document = await writeReferrer(store, { subject, artifactType, layers });
  await registry.pushImage(store, document, { ...name, digest: document.digest });
  const other = await another(there);
  await pullSignatures(registry, other, name, subject);
  expect(await other.referrers(subject.digest, artifactType)).toEqual([]);
  await pullSignatures(registry, other, name, subject, { documents: true });
  expect(await other.referrers(subject.digest, artifactType)).toHaveLength(1);
});

it('what the store has stays when the registry has nothing', async () => {
  const there = await place();
  const { registry, store, subject, name } = there;
  const { signer } = await newKey();
  await signImage(store, { subject, name, signer });
  const before = await store.referrers(subject.digest);
  expect(await pullSignatures(registry, store, name, subject)).toBe(0);
  expect(await store.referrers(subject.digest)).toEqual(before);
});

it('what is broken or about something else is left out', async () => {
  const there = await place();
  const { registry, server, store, subject, name } = there;
  const { signer } = await newKey();
  const { bundles } = await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  const tag = `sha256-${digestHex(subject.digest)}`;
  // A tag in the place of signatures which is an image, and a bundle that is not what its digest says.
  await registry.pushImage(store, subject, { ...name, tag: `${tag}.att` });
  const [bundle] = bundles;
  if (bundle === undefined) throw new Error('there is no bundle');
  const repository = server.storage.repositories.get(name.path);
  repository?.manifests.delete(bundle.digest);
  const other = await another(there);
  await pullSignatures(registry, other, name, subject);
  const { items, unreadable } = await collectFromStore(other, subject.digest);
  expect(items.map(({ kind }) => kind)).toEqual(['signature']);
  expect(unreadable).toEqual([]);
});

it('a mirror is asked in the place of the registry', async () => {
  const there = await place();
  const { registry, server, store, subject, name } = there;
  const { signer } = await newKey();
  await signImage(store, { subject, name, signer });
  await pushSignatures(registry, store, name, subject.digest);
  const other = await another(there);
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

it('a registry cannot fill the disk with what it has beside an image', async () => {
  const there = await place();
  const { registry, store, subject, name } = there;
  // A blob that all of them share: what is named counts, also where little is to be fetched.
  const layer = await store.writeBytes(Buffer.alloc(60 * 2 ** 20));
  for (let number = 0; number < 6; number += 1) {
    const artifactType = `application/vnd.dev.sigstore.bundle.v0.${number}+json`;
    const layers = [{ mediaType: artifactType, ...layer }];
    const referrer = await writeReferrer(store, { subject, artifactType, layers });
    await registry.pushImage(store, referrer, { ...name, digest: referrer.digest });
  }
  const other = await another(there);
  expect(await pullSignatures(registry, other, name, subject)).toBe(4);
});
