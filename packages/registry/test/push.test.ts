import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { formatReference, parseManifest, type Reference, type Store } from '@lkt/oci';
import { type Fault, type RegistryOptions as TestOptions } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import type { Registry } from '../src/registry.ts';
import {
  at,
  client,
  failure,
  methods,
  newImage,
  newIndex,
  newStore,
  recorder,
  serve,
  temporary,
} from './support.ts';

describe('pushImage', () => {
  it('pushes an image and sends nothing twice', async () => {
    const registry = await serve();
    const store = await newStore();
    const index = await newIndex(store, ['linux/amd64', 'linux/arm64']);
    const { events, emit } = recorder();
    const first = await client({ reporter: { emit } }).pushImage(store, index, at(registry));
    expect(first).toMatchObject({ changed: true });
    expect(first.bytes).toBeGreaterThan(2000);
    const last = events.findLast((event) => event.kind === 'progress');
    if (last?.kind === 'progress') expect(last.current).toBe(last.total);
    const { manifests, tags } = registry.storage.repository('app');
    expect(manifests.size).toBe(3);
    expect(tags.get('1')).toBe(index.digest);
    (registry.requests as unknown[]).length = 0;
    const second = await client().pushImage(store, index, at(registry));
    expect(second).toEqual({ descriptor: index, bytes: 0, changed: false });
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
  });

  it('pushes the tag last', async () => {
    const registry = await serve();
    const store = await newStore();
    await client().pushImage(store, await newIndex(store, ['linux/amd64']), at(registry));
    const writes = registry.requests
      .filter(({ method }) => method === 'PUT')
      .map(({ path }) => path);
    const kinds = writes.map((path) =>
      path.includes('/blobs/') ? 'blob' : path.endsWith('/1') ? 'tag' : 'manifest',
    );
    expect(kinds).toEqual(['blob', 'blob', 'manifest', 'manifest', 'tag']);
  });

  it('mounts blobs of another repository', async () => {
    const registry = await serve();
    const store = await newStore();
    const image = await newImage(store);
    const one = client();
    await one.pushImage(store, image, at(registry, 'base:1'));
    (registry.requests as unknown[]).length = 0;
    const pushed = await one.pushImage(store, image, at(registry));
    expect(pushed).toMatchObject({ bytes: 0, changed: true });
    expect(methods(registry, /blobs/)).not.toContain('PUT');
  });

  it.each<[string, (registry: Registry, reference: Reference, store: Store) => Promise<unknown>]>([
    ['pulled from it', async (lkt, from, store) => lkt.pullImage(store, from)],
    [
      'pushed to it again',
      async (lkt, to, store) => lkt.pushImage(store, await client().pullImage(store, to), to),
    ],
    [
      'tagged with it in the store',
      async (_, from, store) =>
        store.tag(formatReference(from), await client().pullImage(store, from)),
    ],
  ])('mounts blobs of a repository when they were %s', async (_what, learn) => {
    const registry = await serve();
    const source = await newStore();
    const image = await newIndex(source, ['linux/amd64', 'linux/arm64']);
    await client().pushImage(source, image, at(registry, 'base:1'));
    const store = await newStore();
    const lkt = client();
    await learn(lkt, at(registry, 'base:1'), store);
    // A name without the blobs is tried too, and another registry's is not.
    await store.tag(`${registry.host}/nothing:1`, image);
    await store.tag('other.example/secret:1', image);
    (registry.requests as unknown[]).length = 0;
    expect(await lkt.pushImage(store, image, at(registry))).toMatchObject({ bytes: 0 });
    expect(methods(registry, /blobs/)).not.toContain('PUT');
    expect(methods(registry, /secret/)).toEqual([]);
  });

  it.each([true, false])(
    'uploads blobs of a repository it may not read; strict token service: %j',
    async (strict) => {
      const auth = {
        scheme: 'token',
        users: { me: 'pass' },
        unreadable: ['base'],
        strict,
      } as const;
      const registry = await serve({ auth });
      const env = { REGISTRY_AUTH_FILE: join(await temporary(), 'auth.json') };
      const auths = { [registry.host]: { username: 'me', password: 'pass' } };
      await writeFile(env.REGISTRY_AUTH_FILE, JSON.stringify({ auths }));
      const store = await newStore();
      const image = await newImage(store);
      await store.tag(`${registry.host}/base:1`, image);
      const pushed = await client({ env }).pushImage(store, image, at(registry));
      expect(pushed.bytes).toBeGreaterThan(300_000);
    },
  );

  it('uploads blobs that cannot be mounted', async () => {
    const registry = await serve({ mounts: false });
    const store = await newStore();
    const image = await newImage(store);
    await store.tag(`${registry.host}/base:1`, image);
    registry.fault({ path: /mount=/ }, { kind: 'respond', status: 403 });
    const { bytes } = await client().pushImage(store, image, at(registry));
    expect(bytes).toBeGreaterThan(300_000);
    expect(methods(registry, /mount=/)).toHaveLength(3);
    expect(registry.storage.repository('app').uploads.size).toBe(0);
  });

  it.each<[string, TestOptions, number | undefined]>([
    ['in one request', {}, undefined],
    ['to relative addresses', { relativeLocations: true }, undefined],
    ['to signed addresses', { uploadQuery: 'sig=a+b~c%2Fd&x' }, 70_000],
    ['in chunks', { relativeLocations: true }, 70_000],
    ['in chunks below the minimum of the registry', { minChunk: 90_000 }, 1000],
  ])('sends blobs %s', async (_what, options, chunkSize) => {
    const registry = await serve(options);
    const store = await newStore();
    const image = await newImage(store);
    const registryClient = client(chunkSize === undefined ? {} : { chunkSize });
    await registryClient.pushImage(store, image, at(registry));
    const { blobs } = registry.storage.repository('app');
    for (const [digest, bytes] of blobs) expect(digestOf(bytes)).toBe(digest);
    expect(blobs.size).toBe(3);
    if (chunkSize === 70_000)
      expect(methods(registry, /uploads\/./).filter((m) => m === 'PATCH')).toHaveLength(3);
    if (options.minChunk !== undefined)
      expect(methods(registry, /uploads\/./).filter((m) => m === 'PATCH')).toHaveLength(3);
  });

  it.each<[string, Fault, { method: string; path: RegExp }]>([
    [
      'a connection lost before the upload',
      { kind: 'break', after: 0 },
      { method: 'PUT', path: /uploads/ },
    ],
    [
      'a connection lost during the upload',
      { kind: 'break', after: 100_000 },
      { method: 'PUT', path: /uploads/ },
    ],
    [
      'a connection lost during a chunk',
      { kind: 'break', after: 30_000 },
      { method: 'PATCH', path: /uploads/ },
    ],
    ['a server error', { kind: 'respond', status: 502 }, { method: 'PUT', path: /uploads/ }],
    ['a misplaced chunk', { kind: 'respond', status: 416 }, { method: 'PATCH', path: /uploads/ }],
    ['an expired upload', { kind: 'respond', status: 404 }, { method: 'PUT', path: /uploads/ }],
    [
      'too many requests',
      { kind: 'respond', status: 429, headers: { 'retry-after': '0' } },
      { method: 'POST', path: /uploads/ },
    ],
    [
      'blobs visible only after a delay',
      {
        kind: 'respond',
        status: 400,
        body: JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }] }),
      },
      { method: 'PUT', path: /manifests/ },
    ],
    [
      'a connection lost during a manifest',
      { kind: 'break', after: 0 },
      { method: 'PUT', path: /manifests/ },
    ],
  ])('recovers from %s', async (_what, fault, moment) => {
    const registry = await serve();
    // The config is the first blob, and too short for some faults.
    registry.fault({ ...moment, times: 2 }, fault);
    const store = await newStore();
    const image = await newImage(store, [400_000]);
    const chunkSize = moment.method === 'PATCH' ? { chunkSize: 100_000 } : {};
    const { events, emit } = recorder();
    await client({ ...chunkSize, concurrency: 1, reporter: { emit } }).pushImage(
      store,
      image,
      at(registry),
    );
    for (const [digest, bytes] of registry.storage.repository('app').blobs)
      expect(digestOf(bytes)).toBe(digest);
    const last = events.findLast((event) => event.kind === 'progress');
    if (last?.kind === 'progress') expect(last.current).toBe(last.total);
  });

  it('sends only the rest after an interruption', async () => {
    const registry = await serve();
    registry.fault({ method: 'PUT', path: /uploads/, times: 2 }, { kind: 'break', after: 200_000 });
    const store = await newStore();
    const image = await newImage(store, [400_000]);
    await client({ concurrency: 1 }).pushImage(store, image, at(registry));
    const puts = registry.requests.filter(
      ({ method, path }) => method === 'PUT' && /uploads/.test(path),
    );
    expect(puts.map(({ headers }) => headers['content-range']).join()).toMatch(/\d{6}-399999/);
  });

  it('resumes after an aborted push', async () => {
    const registry = await serve();
    const store = await newStore();
    const image = await newImage(store, [50_000, 50_000, 50_000]);
    registry.fault(
      { method: 'PUT', path: /manifests/, times: 9 },
      { kind: 'respond', status: 400 },
    );
    await failure(client().pushImage(store, image, at(registry)));
    (registry.requests as unknown[]).length = 0;
    for (let count = 0; count < 9; count += 1)
      await client()
        .pushImage(store, image, at(registry))
        .catch(() => undefined);
    expect(methods(registry, /uploads/)).toEqual([]);
    expect(registry.storage.repository('app').tags.get('1')).toBe(image.digest);
  });

  it('splits a blob that is too long for one request', async () => {
    const registry = await serve();
    const store = await newStore();
    const image = await newImage(store, [34 * 2 ** 20]);
    const { layers } = parseManifest(await store.readBytes(image));
    const path = new RegExp(`digest=${encodeURIComponent(layers[0]?.digest ?? '')}`);
    registry.fault({ method: 'PUT', path }, { kind: 'respond', status: 413 });
    await client().pushImage(store, image, at(registry));
    expect(methods(registry, /uploads\/./).filter((method) => method === 'PATCH')).toHaveLength(1);
    expect(registry.storage.repository('app').tags.get('1')).toBe(image.digest);
  });

  it('does not push a blob that is damaged in the store', async () => {
    const registry = await serve();
    const store = await newStore();
    const image = await newImage(store, [1000]);
    const { layers } = JSON.parse((await store.readBytes(image)).toString()) as {
      layers: { digest: ReturnType<typeof digestOf> }[];
    };
    await writeFile(store.blobPath(layers[0]?.digest ?? digestOf('')), randomBytes(1000));
    const error = await failure(client().pushImage(store, image, at(registry)));
    expect(error).toMatchObject({
      code: 'DIGEST_MISMATCH',
      fix: 'run lkt cache verify --remove',
    });
    const { blobs, uploads, manifests } = registry.storage.repository('app');
    expect([blobs.size <= 1, uploads.size, manifests.size]).toEqual([true, 0, 0]);
  });

  it('reports the registry’s message without secrets', async () => {
    const registry = await serve();
    const body = JSON.stringify({
      errors: [{ code: 'DENIED', message: `no \u001B[31m Bearer abc ${'s'.repeat(200)}` }],
    });
    registry.fault(
      { method: 'POST', path: /uploads/, times: 9 },
      { kind: 'respond', status: 403, body },
    );
    const store = await newStore();
    const error = await failure(client().pushImage(store, await newImage(store), at(registry)));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(error.message).toMatch(
      /^cannot push blob sha256:\w+ to app: 127\.0\.0\.1:\d+: no \[31m … …$/,
    );
  });

  it('names the missing part of an index', async () => {
    const registry = await serve({ allowMissing: 'nothing' });
    const from = await newStore();
    const index = await newIndex(from, ['linux/amd64', 'linux/arm64']);
    const store = await newStore();
    await store.writeBytes(await from.readBytes(index));
    expect(await failure(client().pushImage(store, index, at(registry)))).toMatchObject({
      code: 'NOT_FOUND',
      message: `cannot push ${registry.host}/app:1: the image for linux/amd64 is neither in the store nor in the registry`,
    });
  });

  it('rejects an insecure upload address', async () => {
    const registry = await serve();
    const store = await newStore();
    const image = await newImage(store);
    registry.fault({ method: 'POST', path: /uploads/, times: 9 }, { kind: 'respond', status: 202 });
    expect(await failure(client().pushImage(store, image, at(registry)))).toMatchObject({
      code: 'NETWORK_FAILED',
      message: expect.stringMatching(/returned no upload address/) as string,
    });
  });
});

describe('tags and deletion', () => {
  it('lists the tags of all pages, sorted', async () => {
    const registry = await serve({ pageSize: 2 });
    const { tags } = registry.storage.repository('app', true);
    for (const tag of ['c', 'a', 'e', 'b', 'd']) tags.set(tag, 'sha256:');
    expect(await client().tags(at(registry))).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(methods(registry, /tags/)).toHaveLength(3);
    expect(await failure(client().tags(at(registry, 'other')))).toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

it('emits each warning of a registry once', async () => {
  const registry = await serve({ warning: 'this registry ends soon' });
  const store = await newStore();
  const { events, emit } = recorder();
  await client({ reporter: { emit } }).pushImage(store, await newImage(store), at(registry));
  const warnings = events.filter(({ kind }) => kind === 'warning');
  expect(warnings).toEqual([
    { kind: 'warning', text: `${registry.host}: this registry ends soon` },
  ]);
});
