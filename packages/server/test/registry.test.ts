import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { openStore, parseReference, writeImage, writeIndex, writeLayer } from '@lkt/oci';
import { createRegistry } from '@lkt/registry';
import { describe, expect, test } from 'vitest';
import { INDEX, MANIFEST, pushBlob, pushContent, putManifest, errorOf, serve } from './support.ts';

/** Behaviours required by the conformance tests of distribution-spec. */
describe('pull', () => {
  test('announces a registry', async () => {
    await using served = await serve();
    for (const path of ['/v2/', '/v2']) expect((await served.fetch(path)).status).toBe(200);
  });

  test('reports missing content with the code of its kind', async () => {
    await using served = await serve();
    const none = digestOf('none');
    expect(await errorOf(await served.fetch(`/v2/a/blobs/${none}`))).toBe('404 BLOB_UNKNOWN');
    expect(await errorOf(await served.fetch('/v2/a/manifests/x'))).toBe('404 MANIFEST_UNKNOWN');
    expect(await errorOf(await served.fetch(`/v2/a/manifests/${none}`))).toBe(
      '404 MANIFEST_UNKNOWN',
    );
    expect(await errorOf(await served.fetch('/v2/a/tags/list'))).toBe('404 NAME_UNKNOWN');
    expect(await errorOf(await served.fetch('/v2/a/blobs/sha256:xy'))).toBe('400 DIGEST_INVALID');
    expect(await errorOf(await served.fetch('/v2/A!/tags/list'))).toBe('400 NAME_INVALID');
    expect((await served.fetch('/v2/a/manifests/x', { method: 'HEAD' })).status).toBe(404);
    expect((await served.fetch('/')).status).toBe(404);
  });

  test('returns a manifest by tag and digest with its type, a blob, and a part of it', async () => {
    await using served = await serve();
    const manifest = await pushContent(served, 'team/app', 'content');
    const put = await putManifest(served, 'team/app', '1', manifest);
    expect(put.status).toBe(201);
    const digest = digestOf(manifest);
    expect(put.headers.get('docker-content-digest')).toBe(digest);
    expect(put.headers.get('location')).toBe(`/v2/team/app/manifests/${digest}`);
    for (const name of ['1', digest])
      for (const method of ['GET', 'HEAD']) {
        const got = await served.fetch(`/v2/team/app/manifests/${name}`, { method });
        expect(got.status).toBe(200);
        expect(got.headers.get('content-type')).toBe(MANIFEST);
        expect(got.headers.get('docker-content-digest')).toBe(digest);
        expect(got.headers.get('content-length')).toBe(String(manifest.length));
        expect(await got.text()).toBe(method === 'GET' ? manifest : '');
      }
    const path = `/v2/team/app/blobs/${digestOf('content')}`;
    expect(await (await served.fetch(path)).text()).toBe('content');
    const head = await served.fetch(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '7']);
    for (const [range, status, text, part] of [
      ['bytes=3-', 206, 'tent', 'bytes 3-6/7'],
      ['bytes=-2', 206, 'nt', 'bytes 5-6/7'],
      ['bytes=1-2', 206, 'on', 'bytes 1-2/7'],
      ['bytes=0-1,3-4', 200, 'content', null],
    ] as const) {
      const got = await served.fetch(path, { headers: { range } });
      expect([got.status, await got.text(), got.headers.get('content-range')]).toEqual([
        status,
        text,
        part,
      ]);
    }
    expect((await served.fetch(path, { headers: { range: 'bytes=7-' } })).status).toBe(416);
    expect(served.errors).toEqual([]);
  });
});

describe('push', () => {
  test('accepts a blob in one request, in two, and in chunks with ranges', async () => {
    await using served = await serve();
    const text = 'one two three';
    const digest = digestOf(text);
    const once = await served.fetch(`/v2/a/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: text,
    });
    expect(once.status).toBe(201);
    expect(once.headers.get('location')).toBe(`/v2/a/blobs/${digest}`);

    const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
    expect(started.status).toBe(202);
    const location = started.headers.get('location') ?? '';
    const patch = async (body: string, range?: string): Promise<Response> =>
      served.fetch(location, {
        method: 'PATCH',
        body,
        headers: range === undefined ? undefined : { 'content-range': range },
      });
    const first = await patch('pieces ', '0-6');
    expect([first.status, first.headers.get('range')]).toEqual([202, '0-6']);
    const misplaced = await patch('!', '9-9');
    expect([misplaced.status, misplaced.headers.get('range')]).toEqual([416, '0-6']);
    expect((await patch('of ')).headers.get('range')).toBe('0-9');
    const status = await served.fetch(location);
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-9']);
    const whole = digestOf('pieces of one');
    const put = await served.fetch(`${location}?digest=${whole}`, { method: 'PUT', body: 'one' });
    expect(put.status).toBe(201);
    expect(await (await served.fetch(`/v2/a/blobs/${whole}`)).text()).toBe('pieces of one');
    expect((await served.fetch(location)).status).toBe(404);
    await expect(readdir(join(served.store.dir, 'tmp'))).resolves.toEqual([]);
  });

  test('mounts a blob of another repository, and asks for an upload of an unknown one', async () => {
    await using served = await serve();
    const digest = await pushBlob(served, 'a', 'text');
    const mount = async (name: string): Promise<Response> =>
      served.fetch(`/v2/b/blobs/uploads/?mount=${name}&from=a`, { method: 'POST' });
    expect((await mount(digest)).status).toBe(201);
    expect((await mount(digestOf('nowhere'))).status).toBe(202);
  });

  test('requires a valid manifest with its type, digest and blobs', async () => {
    await using served = await serve();
    const manifest = await pushContent(served, 'a', 'x');
    expect(await errorOf(await putManifest(served, 'a', '1', '{'))).toBe('400 MANIFEST_INVALID');
    expect(await errorOf(await putManifest(served, 'a', '1', manifest, INDEX))).toBe(
      '400 MANIFEST_INVALID',
    );
    expect(await errorOf(await putManifest(served, 'a', digestOf('y'), manifest))).toBe(
      '400 DIGEST_INVALID',
    );
    expect(await errorOf(await putManifest(served, 'a', 'no:tag', manifest))).toBe(
      '400 DIGEST_INVALID',
    );
    const other = manifest.replace(digestOf('x'), digestOf('missing'));
    expect(await errorOf(await putManifest(served, 'a', '1', other))).toBe(
      '404 MANIFEST_BLOB_UNKNOWN',
    );
    const longer = manifest.replace('"size":1}', '"size":2}');
    expect(longer).not.toBe(manifest);
    expect(await errorOf(await putManifest(served, 'a', '1', longer))).toBe(
      '404 MANIFEST_BLOB_UNKNOWN',
    );
    expect((await served.fetch('/v2/a/tags/list')).status).toBe(404);
    const elsewhere = other.replace(
      'text/plain',
      'application/vnd.oci.image.layer.nondistributable.v1.tar',
    );
    expect((await putManifest(served, 'a', '1', elsewhere)).status).toBe(201);
  });

  test('deletes nothing', async () => {
    await using served = await serve();
    const manifest = await pushContent(served, 'a', 'x');
    await putManifest(served, 'a', '1', manifest);
    for (const path of [`/v2/a/blobs/${digestOf('x')}`, '/v2/a/manifests/1'])
      expect((await served.fetch(path, { method: 'DELETE' })).status).toBe(405);
  });
});

describe('tags', () => {
  test('are listed in order and in pages', async () => {
    await using served = await serve();
    const manifest = await pushContent(served, 'team/app', 'x');
    for (const tag of ['b', 'a', 'C', 'd']) await putManifest(served, 'team/app', tag, manifest);
    await putManifest(served, 'team/other', 'x', manifest);
    const list = async (path: string): Promise<[unknown, string | null]> => {
      const response = await served.fetch(path);
      return [await response.json(), response.headers.get('link')];
    };
    expect(await list('/v2/team/app/tags/list')).toEqual([
      { name: 'team/app', tags: ['C', 'a', 'b', 'd'] },
      null,
    ]);
    const [page, link] = await list('/v2/team/app/tags/list?n=3');
    expect(page).toEqual({ name: 'team/app', tags: ['C', 'a', 'b'] });
    const next = /^<(.*)>; rel="next"$/.exec(link ?? '')?.[1] ?? '';
    expect(await list(next)).toEqual([{ name: 'team/app', tags: ['d'] }, null]);
    expect(await list('/v2/team/app/tags/list?n=0')).toEqual([
      { name: 'team/app', tags: [] },
      null,
    ]);
    expect((await served.fetch('/v2/team/app/tags/list?n=x')).status).toBe(400);
  });

  test('do not move, except to more platforms and build steps', async () => {
    await using served = await serve();
    const one = await pushContent(served, 'a', 'one');
    const two = await pushContent(served, 'a', 'two');
    expect((await putManifest(served, 'a', '1', one)).status).toBe(201);
    expect((await putManifest(served, 'a', '1', one)).status).toBe(201);
    expect(await errorOf(await putManifest(served, 'a', '1', two))).toBe('409 DENIED');
    expect(await (await served.fetch('/v2/a/manifests/1')).text()).toBe(one);
    for (const [text, status] of [
      [index(one), 201],
      [index(one, two), 201],
      [index(two), 409],
      [one, 409],
    ] as const)
      expect(
        (await putManifest(served, 'a', 'index', text, text === one ? MANIFEST : INDEX)).status,
      ).toBe(status);
    const artifactType = 'application/vnd.lkt.steps.v1+json';
    for (const [text, status] of [
      ['steps', 201],
      ['more', 201],
    ] as const) {
      const steps = await pushContent(served, 'a', text, { artifactType });
      expect((await putManifest(served, 'a', 'steps', steps)).status).toBe(status);
    }
    expect((await putManifest(served, 'a', 'steps', one)).status).toBe(409);
    expect(
      (await putManifest(served, 'a', '1', await pushContent(served, 'a', 's', { artifactType })))
        .status,
    ).toBe(409);
  });

  test('go to one of several concurrent requests; the others are rejected', async () => {
    await using served = await serve();
    const all = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map(async (text) => pushContent(served, 'race', text)),
    );
    const answers = await Promise.all(
      all.map(async (manifest) => (await putManifest(served, 'race', '1', manifest)).status),
    );
    expect(answers.toSorted((a, b) => a - b)).toEqual([201, 409, 409, 409, 409]);
  });

  test('are set with a manifest pushed by a digest of any algorithm', async () => {
    await using served = await serve();
    const manifest = await pushContent(served, 'a', 'x');
    const push = async (digest: string, tags: readonly string[]): Promise<Response> => {
      const query = tags.map((tag) => `tag=${tag}`).join('&');
      return putManifest(served, 'a', `${digest}?${query}`, manifest);
    };
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = digestOf(manifest, algorithm);
      const tags = [`${algorithm}-1`, `${algorithm}-1.2`];
      const put = await push(digest, [...tags, ...tags]);
      expect([put.status, put.headers.get('oci-tag')]).toEqual([201, tags.join(', ')]);
      for (const tag of tags) {
        const got = await served.fetch(`/v2/a/manifests/${tag}`);
        expect(got.headers.get('docker-content-digest')).toBe(digest);
      }
    }
    const digest = digestOf(manifest);
    expect((await push(digest, [])).headers.has('oci-tag')).toBe(false);
    expect(await errorOf(await push(digest, ['sha512-1']))).toBe('409 DENIED');
    expect((await push(digest, ['good', '-bad'])).status).toBe(400);
    expect((await served.fetch('/v2/a/manifests/good')).status).toBe(404);
    const many = Array.from({ length: 101 }, (_, at) => `many-${at}`);
    expect((await push(digest, many)).status).toBe(414);
    expect((await putManifest(served, 'a', 'own?tag=other', manifest)).status).toBe(201);
    expect((await served.fetch('/v2/a/manifests/other')).status).toBe(404);
  });

  test('move if the server allows it', async () => {
    await using served = await serve({ canMoveTags: true });
    await putManifest(served, 'a', '1', await pushContent(served, 'a', 'one'));
    const two = await pushContent(served, 'a', 'two');
    expect((await putManifest(served, 'a', '1', two)).status).toBe(201);
    expect(await (await served.fetch('/v2/a/manifests/1')).text()).toBe(two);
  });
});

test('lists referrers, also by type', async () => {
  await using served = await serve();
  const image = await pushContent(served, 'a', 'x');
  await putManifest(served, 'a', '1', image);
  const subject = { mediaType: MANIFEST, digest: digestOf(image), size: image.length };
  const note = await pushContent(served, 'a', 'note', { subject, artifactType: 'text/note' });
  const put = await putManifest(served, 'a', digestOf(note), note);
  expect([put.status, put.headers.get('oci-subject')]).toEqual([201, subject.digest]);
  const list = async (query: string): Promise<unknown> => {
    const response = await served.fetch(`/v2/a/referrers/${subject.digest}${query}`);
    expect(response.headers.get('content-type')).toBe(INDEX);
    const { manifests } = (await response.json()) as { manifests: { digest: string }[] };
    return [manifests.map(({ digest }) => digest), response.headers.get('oci-filters-applied')];
  };
  expect(await list('')).toEqual([[digestOf(note)], null]);
  expect(await list('?artifactType=text/note')).toEqual([[digestOf(note)], 'artifactType']);
  expect(await list('?artifactType=other')).toEqual([[], 'artifactType']);
  expect((await served.fetch(`/v2/a/referrers/${digestOf('none')}`)).status).toBe(200);
});

test('serves images that lkt built, and stores images that lkt pushes', async () => {
  await using served = await serve();
  await using registry = createRegistry({ env: {}, insecure: [served.host] });
  const { store } = served;
  const layer = await writeLayer(store, (async function* () {})());
  const platform = { os: 'linux', architecture: 'amd64' };
  const image = await writeImage(store, { config: {}, layers: [layer], platform });
  const whole = await writeIndex(store, [image]);
  await store.tag('docker.io/team/app:1', whole);
  const other = await openStore(join(served.dir, 'other'));
  const reference = parseReference(`${served.host}/team/app:1`);
  expect((await registry.pullImage(other, reference)).digest).toBe(whole.digest);
  await registry.pushImage(other, whole, parseReference(`${served.host}/team/again:1`));
  expect((await store.resolve('docker.io/team/again:1'))?.digest).toBe(whole.digest);
  expect(await registry.tags(parseReference(`${served.host}/team/again`))).toEqual(['1']);
  expect(served.errors).toEqual([]);
});

function index(...manifests: readonly string[]): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: manifests.map((text) => ({
      mediaType: MANIFEST,
      digest: digestOf(text),
      size: text.length,
    })),
  });
}
