import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { errorOf, MANIFEST, putManifest, serve, type Served } from './support.ts';

const CONFIG = 'application/vnd.oci.image.config.v1+json';

async function push(served: Served, text: string): Promise<string> {
  const digest = digestOf(text, 'sha512');
  const url = `/v2/a/blobs/uploads/?digest=${digest}`;
  expect((await served.fetch(url, { method: 'POST', body: text })).status).toBe(201);
  return digest;
}

describe('SHA-512 digests', () => {
  test('name blobs pushed in one request and in chunks', async () => {
    await using served = await serve();
    const digest = await push(served, 'whole');
    const start = '/v2/a/blobs/uploads/?digest-algorithm=sha512';
    const { headers } = await served.fetch(start, { method: 'POST' });
    const location = headers.get('location') ?? '';
    await served.fetch(location, { method: 'PATCH', body: 'in ' });
    const second = digestOf('in chunks', 'sha512');
    const put = await served.fetch(`${location}?digest=${second}`, {
      method: 'PUT',
      body: 'chunks',
    });
    expect(put.status).toBe(201);
    expect(put.headers.get('docker-content-digest')).toBe(second);
    for (const [name, text] of [
      [digest, 'whole'],
      [second, 'in chunks'],
    ] as const) {
      const got = await served.fetch(`/v2/a/blobs/${name}`);
      expect([await got.text(), got.headers.get('docker-content-digest')]).toEqual([text, name]);
    }
    const mount = `/v2/b/blobs/uploads/?mount=${digest}&from=a`;
    expect((await served.fetch(mount, { method: 'POST' })).status).toBe(201);
    expect(await served.store.verify()).toMatchObject({ checked: 2, bad: [] });
  });

  test('are verified', async () => {
    await using served = await serve();
    const digest = digestOf('right', 'sha512');
    const whole = `/v2/a/blobs/uploads/?digest=${digest}`;
    const wrong = await served.fetch(whole, { method: 'POST', body: 'wrong' });
    expect(await errorOf(wrong)).toBe('400 DIGEST_INVALID');
    const { headers } = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
    const location = headers.get('location') ?? '';
    await served.fetch(location, { method: 'PATCH', body: 'wrong' });
    const put = await served.fetch(`${location}?digest=${digest}`, { method: 'PUT' });
    expect(await errorOf(put)).toBe('400 DIGEST_INVALID');
    expect(served.store.digests()).toEqual([]);
  });

  test('name manifests and the subjects of referrers', async () => {
    await using served = await serve();
    const config = { mediaType: CONFIG, digest: await push(served, '{}'), size: 2 };
    const image = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [] };
    const text = JSON.stringify(image);
    const digest = digestOf(text, 'sha512');
    const put = await putManifest(served, 'a', digest, text);
    expect(put.status).toBe(201);
    expect(put.headers.get('location')).toBe(`/v2/a/manifests/${digest}`);
    expect(put.headers.get('docker-content-digest')).toBe(digest);
    expect(await (await served.fetch(`/v2/a/manifests/${digest}`)).text()).toBe(text);
    const other = digestOf('another manifest', 'sha512');
    expect(await errorOf(await putManifest(served, 'a', other, text))).toBe('400 DIGEST_INVALID');

    const subject = { mediaType: MANIFEST, digest, size: text.length };
    const referrer = JSON.stringify({ ...image, artifactType: 'text/x', subject });
    const name = digestOf(referrer, 'sha512');
    const answer = await putManifest(served, 'a', name, referrer);
    expect(answer.headers.get('oci-subject')).toBe(digest);
    const list = await served.fetch(`/v2/a/referrers/${digest}`);
    expect(await list.json()).toMatchObject({ manifests: [{ digest: name }] });
  });

  test('are the only ones beside SHA-256', async () => {
    await using served = await serve();
    const unknown = `sha384:${'0'.repeat(96)}`;
    for (const path of ['blobs', 'manifests', 'referrers']) {
      const answer = await served.fetch(`/v2/a/${path}/${unknown}`);
      expect(await errorOf(answer)).toBe('400 DIGEST_INVALID');
    }
    for (const query of [`digest=${unknown}`, `mount=${unknown}`, 'digest-algorithm=sha384']) {
      const url = `/v2/a/blobs/uploads/?${query}`;
      const answer = await served.fetch(url, { method: 'POST', body: 'x' });
      expect(await errorOf(answer)).toBe('400 DIGEST_INVALID');
    }
  });
});
