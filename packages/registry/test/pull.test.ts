import { setTimeout as delay } from 'node:timers/promises';
import { digestOf } from '@lkt/core';
import {
  type Descriptor,
  loadImage,
  MediaType,
  parseManifest,
  parsePlatform,
  type Reference,
} from '@lkt/oci';
import type { RegistryOptions as TestOptions, TestRegistry } from '@lkt/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  at,
  client,
  failure,
  isWhole,
  methods,
  newImage,
  newIndex,
  newStore,
  recorder,
  serve,
} from './support.ts';

async function registryWith(
  options: TestOptions = {},
  sizes?: readonly number[],
): Promise<{ registry: TestRegistry; reference: Reference; digest: string }> {
  const registry = await serve(options);
  const store = await newStore();
  const image = await newImage(store, sizes);
  await client().pushImage(store, image, at(registry));
  (registry.requests as unknown[]).length = 0;
  return { registry, reference: at(registry), digest: image.digest };
}

const amd64 = parsePlatform('linux/amd64');

function falling(lengths: readonly number[]): readonly number[] {
  return lengths.toSorted((one, other) => other - one);
}

describe('pullImage', () => {
  it('pulls an image and requests nothing that is present', async () => {
    const { registry, reference, digest } = await registryWith();
    const store = await newStore();
    const { events, emit } = recorder();
    const pulled = await client({ reporter: { emit } }).pullImage(store, reference);
    expect(pulled).toMatchObject({ digest, mediaType: MediaType.ociManifest });
    expect((await loadImage(store, pulled.digest, amd64)).manifest.layers).toHaveLength(2);
    expect(await isWhole(store)).toBe(true);
    const last = events.findLast((event) => event.kind === 'progress');
    expect(last).toMatchObject({ unit: 'bytes' });
    if (last?.kind === 'progress') expect(last.current).toBe(last.total);
    expect(events.at(-1)).toMatchObject({ kind: 'done', cached: false });

    (registry.requests as unknown[]).length = 0;
    await client().pullImage(store, reference);
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD']);
    (registry.requests as unknown[]).length = 0;
    const { domain, path } = reference;
    await client().pullImage(store, { domain, path, digest: pulled.digest });
    expect(registry.requests).toEqual([]);
  });

  it('pulls only the requested platform of an index', async () => {
    const registry = await serve();
    const source = await newStore();
    const index = await newIndex(source, ['linux/amd64', 'linux/arm64', 'linux/riscv64']);
    await client().pushImage(source, index, at(registry));
    (registry.requests as unknown[]).length = 0;
    const store = await newStore();
    await client().pullImage(store, at(registry), { platforms: [amd64] });
    expect(methods(registry, /blobs/)).toHaveLength(2);
    await loadImage(store, index.digest, amd64);
    const s390x = [parsePlatform('linux/s390x')];
    expect(
      await failure(client().pullImage(store, at(registry), { platforms: s390x })),
    ).toMatchObject({
      code: 'NOT_FOUND',
      message: `${registry.host}/app:1 is not available for linux/s390x, only for linux/amd64, linux/arm64, linux/riscv64`,
    });
    await client().pullImage(store, at(registry));
    await loadImage(store, index.digest, parsePlatform('linux/arm64'));
  });

  it('rejects an image for another platform', async () => {
    const { registry, reference } = await registryWith();
    const options = { platforms: [parsePlatform('linux/arm64')] };
    expect(await failure(client().pullImage(await newStore(), reference, options))).toMatchObject({
      code: 'NOT_FOUND',
      message: `${registry.host}/app:1 is not available for linux/arm64, only for linux/amd64`,
    });
  });

  it('fetches each blob once for concurrent pulls', async () => {
    const { registry, reference } = await registryWith();
    const store = await newStore();
    const registryClient = client({ concurrency: 1 });
    await Promise.all([1, 2, 3].map(async () => registryClient.pullImage(store, reference)));
    expect(methods(registry, /blobs/)).toHaveLength(3);
    expect(await isWhole(store)).toBe(true);
  });

  it('downloads the next blob while the disk is busy with the last one', async () => {
    const { registry, reference } = await registryWith({}, [30_000, 20_000, 10_000]);
    const store = await newStore();
    const write = store.write.bind(store);
    let isOver = false;
    onTestFinished(() => void (isOver = true));
    // A disk that is done with the two longer layers only after the next request.
    store.write = async (source, expected, signal) => {
      const before = methods(registry, /blobs/).length;
      const info = await write(source, expected, signal);
      const isBusy = (): boolean => methods(registry, /blobs/).length === before && !isOver;
      while (info.size >= 20_000 && isBusy()) await delay(1);
      return info;
    };
    await client({ concurrency: 1 }).pullImage(store, reference);
    expect(methods(registry, /blobs/)).toHaveLength(4);
    expect(await isWhole(store)).toBe(true);
  });

  it.each<[string, TestOptions]>([
    ['of a registry with incomplete HEAD responses', { headLength: false, digestHeader: false }],
    ['of a registry without ranges', { ranges: false }],
    ['of a registry that redirects blobs', { redirectBlobs: true }],
  ])('pulls blobs %s', async (_what, options) => {
    const { registry, reference } = await registryWith(options);
    registry.fault({ method: 'GET', path: /sha256:.*/, times: 2 }, { kind: 'cut', after: 50 });
    const store = await newStore();
    await client().pullImage(store, reference);
    expect(await isWhole(store)).toBe(true);
  });

  it('resumes after a lost connection', async () => {
    const { registry, reference } = await registryWith({}, [300_000]);
    registry.fault({ method: 'GET', path: /blobs/, times: 6 }, { kind: 'cut', after: 60_000 });
    const store = await newStore();
    const { events, emit } = recorder();
    await client({ reporter: { emit }, concurrency: 1 }).pullImage(store, reference);
    expect(await isWhole(store)).toBe(true);
    const ranges = registry.requests.map(({ headers }) => headers.range);
    expect(ranges).toContain('bytes=60000-');
    const last = events.findLast((event) => event.kind === 'progress');
    if (last?.kind === 'progress') expect(last.current).toBe(last.total);
  });

  it.each([
    { kind: 'respond', status: 429, headers: { 'retry-after': '0' } },
    { kind: 'respond', status: 503 },
    { kind: 'break', after: 0 },
  ] as const)('recovers from %j', async (fault) => {
    const { registry, reference } = await registryWith();
    for (const path of [/manifests/, /blobs/, /blobs/]) registry.fault({ path }, fault);
    const store = await newStore();
    await client().pullImage(store, reference);
    expect(await isWhole(store)).toBe(true);
  });

  it('recovers from an early end and a rejected range', async () => {
    const { registry, reference } = await registryWith();
    registry.fault({ method: 'GET', path: /blobs/ }, { kind: 'short', after: 10 });
    registry.fault({ method: 'GET', path: /blobs/ }, { kind: 'respond', status: 416 });
    const store = await newStore();
    await client({ concurrency: 1 }).pullImage(store, reference);
    expect(await isWhole(store)).toBe(true);
  });

  it.each(['blobs', 'manifests'])('keeps no corrupt %s', async (part) => {
    const { registry, reference, digest } = await registryWith();
    registry.fault({ method: 'GET', path: new RegExp(part), times: 100 }, { kind: 'corrupt' });
    const store = await newStore();
    const error = await failure(client().pullImage(store, reference));
    expect(error).toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(error.message).toContain(registry.host);
    expect(await store.has(digest as ReturnType<typeof digestOf>)).toBe(false);
    const { bad } = await store.verify();
    expect(bad).toEqual([]);
  });

  it('returns no corrupt or large blob', async () => {
    const { registry, reference } = await registryWith();
    const store = await newStore();
    const image = await client().pullImage(store, reference);
    const { config } = parseManifest(await store.readBytes(image));
    registry.fault({ method: 'GET', path: /blobs/ }, { kind: 'corrupt' });
    expect(await failure(client().fetchBlob(reference, config))).toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    expect(await failure(client().fetchBlob(reference, config, { limit: 1 }))).toMatchObject({
      code: 'IMAGE_INVALID',
    });
    expect(digestOf(await client().fetchBlob(reference, config))).toBe(config.digest);
  });

  it('rejects other media types and ambiguous manifests', async () => {
    const registry = await serve();
    const put = (mediaType: string, document: object): Descriptor => {
      const bytes = Buffer.from(JSON.stringify(document));
      const repository = registry.storage.repository('app', true);
      repository.manifests.set(digestOf(bytes), { mediaType, bytes });
      repository.tags.set('1', digestOf(bytes));
      return { mediaType, digest: digestOf(bytes), size: bytes.length };
    };
    const pull = async (): Promise<Error & Record<string, unknown>> =>
      failure(client().pullImage(await newStore(), at(registry)));
    put('text/html', {});
    expect(await pull()).toMatchObject({ code: 'IMAGE_INVALID' });
    put(MediaType.ociManifest, { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [] });
    expect(await pull()).toMatchObject({ code: 'IMAGE_INVALID' });
    put(MediaType.ociIndex, { schemaVersion: 2, manifests: [], layers: [] });
    expect(await pull()).toMatchObject({ code: 'IMAGE_INVALID' });
    const inside = put(MediaType.ociIndex, { schemaVersion: 2, manifests: [] });
    put(MediaType.ociIndex, {
      schemaVersion: 2,
      manifests: [{ ...inside, size: inside.size + 1 }],
    });
    expect(await pull()).toMatchObject({ code: 'DIGEST_MISMATCH' });
    let item = inside;
    for (let depth = 0; depth < 5; depth += 1)
      item = put(MediaType.ociIndex, { schemaVersion: 2, manifests: [item] });
    expect(await pull()).toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringMatching(/nested too deeply/) as string,
    });
  });

  it('fetches six blobs at a time, longest first', async () => {
    const sizes = [10, 20, 30, 4000, 5000, 6000, 7000, 8000, 9000];
    const { registry, reference } = await registryWith({}, sizes);
    registry.fault({ method: 'GET', path: /blobs/, times: 99 }, { kind: 'stall' });
    const stop = new AbortController();
    const store = await newStore();
    const pulling = failure(client().pullImage(store, reference, { signal: stop.signal }));
    const asked = (): number => methods(registry, /blobs/).length;
    await expect.poll(asked).toBe(6);
    await delay(100);
    const { blobs } = registry.storage.repository(reference.path);
    const lengths = [...registry.requests].flatMap(({ path }) => {
      const [, digest = ''] = /blobs\/(.*)/.exec(path) ?? [];
      return blobs.get(digest)?.length ?? [];
    });
    expect(falling(lengths)).toEqual(
      falling([...blobs.values()].map(({ length }) => length)).slice(0, 6),
    );
    stop.abort(new Error('stopped'));
    await pulling;
  });

  it('rejects too long manifests and layers', async () => {
    const registry = await serve();
    const store = await newStore();
    const { mediaType, digest } = await newImage(store, [1000]);
    const bytes = await store.readBytes({ digest });
    const { config, layers } = parseManifest(bytes);
    await client().pushImage(
      store,
      { mediaType, digest, size: bytes.length },
      at(registry, 'app:1'),
    );
    const repository = registry.storage.repository('app');
    const put = (document: object): void => {
      const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
      repository.manifests.set(digestOf(manifest), { mediaType, bytes: manifest });
      repository.tags.set('1', digestOf(manifest));
    };
    for (const size of [999, 1001]) {
      put({ config, layers: layers.map((layer) => ({ ...layer, size })) });
      const other = await newStore();
      expect(await failure(client().pullImage(other, at(registry)))).toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
      expect((await other.verify()).checked).toBeLessThan(2);
    }
    put({ config, layers, annotations: { long: 'x'.repeat(4 * 2 ** 20) } });
    const error = await failure(client().pullImage(await newStore(), at(registry)));
    expect(error.message).toMatch(/more than 4194304 bytes/);
  });

  it('reports the registry’s message although a HEAD response has none', async () => {
    const { registry, reference } = await registryWith();
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'not before noon' }] });
    registry.fault({ path: /manifests/, times: 9 }, { kind: 'respond', status: 403, body });
    const error = await failure(client().pullImage(await newStore(), reference));
    expect(error.message).toMatch(/not before noon$/);
  });

  it('names the missing image', async () => {
    const { registry } = await registryWith();
    expect(
      await failure(client().pullImage(await newStore(), at(registry, 'app:2'))),
    ).toMatchObject({
      code: 'NOT_FOUND',
      message: `${registry.host}/app:2 is not in the registry`,
    });
  });

  it('stops on abort', async () => {
    const { registry, reference } = await registryWith();
    registry.fault({ path: /blobs/, times: 9 }, { kind: 'stall' });
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('stopped')), 100);
    const options = { signal: stop.signal };
    const error = await failure(client().pullImage(await newStore(), reference, options));
    expect(error.message).toBe('stopped');
  });
});

describe('mirrors', () => {
  it.each(['http://mirror.example', 'ftp://mirror.example', 'mirror.example'])(
    'reject the address %s',
    async (url) => {
      const { registry, reference } = await registryWith();
      const mirrors = { [registry.host]: [{ url, resolvesTags: true }] };
      expect(
        await failure(client({ mirrors }).pullImage(await newStore(), reference)),
      ).toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );

  it('are tried first for digests, with the registry as fallback', async () => {
    const { registry, reference } = await registryWith();
    const mirror = await serve();
    for (const [name, repository] of registry.storage.repositories)
      mirror.storage.repositories.set(name, repository);
    mirror.fault({ path: /blobs/ }, { kind: 'respond', status: 404 });
    const mirrors = { [registry.host]: [{ url: mirror.url }] };
    const store = await newStore();
    await client({ mirrors }).pullImage(store, reference);
    expect(await isWhole(store)).toBe(true);
    expect(methods(registry, /manifests/)).toEqual(['HEAD']);
    expect(methods(registry, /blobs/)).toEqual(['GET']);
    expect(methods(mirror, /blobs/)).toHaveLength(3);
    expect(mirror.requests.every(({ path }) => path.includes(`ns=127.0.0.1%3A`))).toBe(true);
  });

  it('answer for a digest when the registry cannot be reached', async () => {
    const { registry, reference } = await registryWith();
    const { digest } = await client().resolve(reference);
    const elsewhere = { ...reference, tag: undefined, digest, domain: 'registry.invalid' };
    const mirrors = { 'registry.invalid': [{ url: registry.url }] };
    expect(await client({ mirrors }).resolve(elsewhere)).toMatchObject({ digest });
    expect((await client({ mirrors }).fetchManifest(elsewhere)).descriptor).toMatchObject({
      digest,
    });
    const other = { ...elsewhere, digest: digestOf(Buffer.from('other')) };
    const options = { mirrors, backoff: [] };
    expect(await failure(client(options).resolve(other))).toMatchObject({ code: 'NETWORK_FAILED' });
  });

  it('that return wrong content are skipped', async () => {
    const { registry, reference } = await registryWith();
    const mirror = await serve();
    for (const [name, repository] of registry.storage.repositories)
      mirror.storage.repositories.set(name, repository);
    mirror.fault({ path: /./, times: 100 }, { kind: 'corrupt' });
    const mirrors = { [registry.host]: [{ url: mirror.url, resolvesTags: true }] };
    const store = await newStore();
    await client({ mirrors }).pullImage(store, reference);
    expect(await isWhole(store)).toBe(true);
  });
});
