import { type Digest, digestOf } from '@lkt/core';
import { type Descriptor, MediaType, type Store } from '@lkt/oci';
import { expect, it } from 'vitest';
import { at, client, isWhole, newStore, pushReferrer, serve } from './support.ts';

/** Writes an image whose digests are SHA-512. */
async function newImage(store: Store, layer: string): Promise<Descriptor> {
  const put = async (mediaType: string, text: string): Promise<Descriptor> => {
    const bytes = Buffer.from(text);
    return { mediaType, ...(await store.writeBytes(bytes, digestOf(bytes, 'sha512'))) };
  };
  const mediaType = MediaType.ociManifest;
  const image = {
    schemaVersion: 2,
    mediaType,
    config: await put(MediaType.ociEmpty, '{}'),
    layers: [await put('text/plain', layer)],
  };
  return put(mediaType, JSON.stringify(image));
}

it('pushes and pulls an image with SHA-512 digests', async () => {
  const registry = await serve();
  const store = await newStore();
  const image = await newImage(store, 'content');
  const { domain, path } = at(registry);
  const name = { domain, path, digest: image.digest };
  expect(await client().pushImage(store, image, name)).toMatchObject({ changed: true });
  expect(await client().pushImage(store, image, name)).toMatchObject({ changed: false, bytes: 0 });
  const other = await newStore();
  expect((await client().pullImage(other, name)).digest).toBe(image.digest);
  expect(await isWhole(other)).toBe(true);
  expect(other.digests()).toHaveLength(3);
});

it('rejects wrong content for a SHA-512 digest', async () => {
  const registry = await serve();
  const store = await newStore();
  const image = await newImage(store, 'content');
  const { domain, path } = at(registry);
  await client().pushImage(store, image, { domain, path, digest: image.digest });
  const { blobs } = registry.storage.repository('app');
  blobs.set(digestOf('content', 'sha512'), Buffer.from('CONTENT'));
  const other = await newStore();
  const pull = client().pullImage(other, { domain, path, digest: image.digest });
  await expect(pull).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
});

it('tags a manifest with a SHA-512 digest once', async () => {
  const registry = await serve();
  const store = await newStore();
  const image = await newImage(store, 'content');
  const { domain, path } = at(registry);
  await client().pushImage(store, image, { domain, path, digest: image.digest });
  const tag = async (): Promise<boolean> =>
    (await client().tagManifest({ domain, path, tag: '1' }, image)).changed;
  expect([await tag(), await tag()]).toEqual([true, false]);
});

it.each([true, false])(
  'finds the referrers of a SHA-512 subject, referrers API: %s',
  async (referrers) => {
    const registry = await serve({ referrers });
    const store = await newStore();
    const image = await newImage(store, 'content');
    const { domain, path } = at(registry);
    const subject: { domain: string | undefined; path: string; digest: Digest } = {
      domain,
      path,
      digest: image.digest,
    };
    await client().pushImage(store, image, subject);
    const referrer = await pushReferrer(client(), at(registry), image, 'about it');
    expect(await client().referrers(subject)).toEqual([referrer]);
    // distribution-spec, "Referrers Tag Schema": at most 64 characters of the hash.
    const tag = image.digest.replace(':', '-').slice(0, 'sha512-'.length + 64);
    expect(registry.storage.repository('app').tags.has(tag)).toBe(!referrers);
  },
);
