import { join } from 'node:path';
import { digestOf, type ProgressEvent } from '@lkt/core';
import { openStore, parseReference } from '@lkt/oci';
import { createRegistry } from '@lkt/registry';
import { startDockerRegistry, startRegistry } from '@lkt/testing';
import { expect, test } from 'vitest';
import {
  type CacheLocation,
  layoutLocation,
  registryLocation,
  RemoteSteps,
} from '../../src/index.ts';
import { build, type Built, scratch } from '../fixture.ts';

const TEXT = `FROM base AS one
RUN echo 1 > /one
RUN cat /one > /two
FROM base AS unused-in-the-image
COPY --from=one /two /three
RUN cat /three > /four
FROM base
WORKDIR /work
COPY --from=unused-in-the-image /four /
RUN cat /four > five
`;
const RUNS = 4;
const STEPS = 7;

interface Machine extends Disposable {
  readonly store: string;
  /** Builds with caches, and pushes the steps. */
  build(
    text: string,
    places: { readonly from?: readonly CacheLocation[]; readonly to?: CacheLocation },
  ): Promise<Built>;
}

/** Returns a machine with a store of its own. */
function machine(): Machine {
  const directory = scratch();
  const store = join(directory.path, 'store');
  return {
    store,
    build: async (text, { from = [], to }) => {
      const warnings: string[] = [];
      const emit = (event: ProgressEvent): void => {
        if (event.kind === 'warning') warnings.push(event.text);
      };
      const cache = new RemoteSteps(from, to, { emit });
      const built = await build(store, text, { cache });
      await cache.push(await openStore(store));
      return { ...built, warnings: [...built.warnings, ...warnings] };
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

test.each(['in this process', 'docker-registry', 'an OCI layout'])(
  'reruns no step that the cache has on another machine: %s',
  async (kind) => {
    using directory = scratch();
    await using resources = new AsyncDisposableStack();
    const registry = resources.use(createRegistry());
    let place = layoutLocation('layout', join(directory.path, 'layout'));
    if (kind !== 'an OCI layout') {
      const start = kind === 'docker-registry' ? startDockerRegistry : startRegistry;
      const { host } = resources.use(await start());
      place = registryLocation('ref', registry, parseReference(`${host}/team/cache:main`));
    }
    using first = machine();
    const built = await first.build(TEXT, { to: place });
    expect(built.ran).toHaveLength(STEPS);

    using second = machine();
    const again = await second.build(TEXT, { from: [place] });
    expect(again.warnings).toEqual([]);
    expect(again.ran).toEqual([]);
    expect(again.cached).toHaveLength(STEPS);
    expect(again.descriptor).toEqual(built.descriptor);
    const store = await openStore(second.store);
    expect((await store.verify()).bad).toEqual([]);

    // Missing steps run on imported ones.
    using third = machine();
    const other = TEXT.replace('cat /three > /four', 'cat /three /three > /four');
    const partly = await third.build(other, { from: [place], to: place });
    expect(partly.ran).toEqual([
      'RUN cat /three /three > /four',
      'COPY --from=unused-in-the-image /four /',
      'RUN cat /four > five',
    ]);
    expect(partly.descriptor).toEqual((await build(first.store, other)).descriptor);

    // Both caches together have every step.
    using fourth = machine();
    expect((await fourth.build(TEXT, { from: [place] })).ran).toEqual([]);
    expect((await fourth.build(other, { from: [place] })).ran).toEqual([]);
  },
);

test('makes few requests, fetches only layers of the image, and uploads nothing twice', async () => {
  await using server = await startRegistry();
  await using registry = createRegistry();
  const place = registryLocation('ref', registry, parseReference(`${server.host}/cache`));
  using first = machine();
  await first.build(TEXT, { to: place });
  const sent = server.requests.filter(({ method }) => method === 'PUT').length;
  await first.build(TEXT, { to: place });
  expect(server.requests.filter(({ method }) => method === 'PUT')).toHaveLength(sent);
  const before = server.requests.length;
  using second = machine();
  const { descriptor } = await second.build(TEXT, { from: [place] });
  const gets = server.requests.slice(before).filter(({ method }) => method === 'GET');
  // The version check, the manifest, a part of the records, and three layers.
  const blobs = gets.filter(({ path }) => path.includes('/blobs/'));
  expect(blobs).toHaveLength(1 + 3);
  expect(gets.length).toBeLessThanOrEqual(6);
  expect(descriptor.size).toBeGreaterThan(0);
});

test.each([
  ['a layer has other bytes', 'layers'],
  ['a layer is another one than its record says', 'diffId'],
  ['a layer is shorter than its record says', 'size'],
  ['a record is malformed', 'record'],
  ['the records are no JSON', 'json'],
  ['layers have left the registry', 'gone'],
])('warns about %s, and runs the step', async (_title, kind) => {
  await using server = await startRegistry();
  await using registry = createRegistry();
  const place = registryLocation('ref', registry, parseReference(`${server.host}/cache`));
  using first = machine();
  const built = await first.build(TEXT, { to: place });
  tamper(server.storage.repository('cache'), kind);
  using second = machine();
  const again = await second.build(TEXT, { from: [place] });
  expect(again.warnings).not.toEqual([]);
  expect(again.ran.filter((title) => title.startsWith('RUN')).length).toBeGreaterThan(0);
  expect(again.descriptor).toEqual(built.descriptor);
  const store = await openStore(second.store);
  expect((await store.verify()).bad).toEqual([]);
});

test('fails no build for an unreachable, missing or malformed cache', async () => {
  await using server = await startRegistry();
  await using registry = createRegistry();
  const missing = registryLocation('missing', registry, parseReference(`${server.host}/nothing`));
  const unreachable = registryLocation('dead', registry, parseReference('127.0.0.1:1/nothing'));
  using first = machine();
  const built = await first.build(TEXT, { from: [missing, unreachable] });
  expect(built.ran.filter((title) => title.startsWith('RUN'))).toHaveLength(RUNS);
  expect(built.warnings.filter((text) => text.startsWith('cache missing: '))).toHaveLength(1);
  expect(built.warnings.filter((text) => text.startsWith('cache dead: '))).toHaveLength(1);

  // A cache must not replace an image.
  const store = await openStore(first.store);
  const reference = parseReference(`${server.host}/image:1`);
  await registry.pushImage(store, built.descriptor, reference);
  const image = registryLocation('image', registry, reference);
  const again = await first.build('FROM base\nRUN true\n', { from: [image] });
  expect(again.warnings[0]).toContain('is not a step cache');
  await expect(first.build(TEXT, { to: image })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect((await registry.resolve(reference)).digest).toBe(built.descriptor.digest);
});

type Repository = Awaited<ReturnType<typeof startRegistry>>['storage'] extends {
  repository(name: string): infer R;
}
  ? R
  : never;

function tamper({ blobs, manifests, tags }: Repository, kind: string): void {
  const digest = tags.get('latest') ?? '';
  const manifest = manifests.get(digest);
  if (manifest === undefined) throw new Error('no cache');
  const document = JSON.parse(manifest.bytes.toString()) as {
    layers: { digest: string; size: number; mediaType: string }[];
  };
  const [records, ...layers] = document.layers;
  if (records === undefined) throw new Error('no records');
  if (kind === 'layers' || kind === 'gone') {
    for (const { digest: layer } of layers) {
      const bytes = blobs.get(layer);
      if (bytes === undefined) throw new Error('no layer');
      if (kind === 'gone') blobs.delete(layer);
      else blobs.set(layer, Buffer.from(bytes.map((byte) => byte ^ 1)));
    }
    return;
  }
  const text = (blobs.get(records.digest) ?? Buffer.alloc(0)).toString();
  const facts = JSON.parse(text) as Record<string, { diffId: string; layer: { size: number } }>;
  for (const fact of Object.values(facts)) {
    if (typeof fact !== 'object') continue;
    if (kind === 'diffId') fact.diffId = `sha256:${'0'.repeat(64)}`;
    if (kind === 'size') fact.layer.size += 1;
    if (kind === 'record') Object.assign(fact.layer, { mediaType: 'text/html' });
  }
  const bytes = Buffer.from(kind === 'json' ? `${text}}` : JSON.stringify(facts));
  const name = digestOf(bytes);
  blobs.set(name, bytes);
  Object.assign(records, { digest: name, size: bytes.length });
  const changed = Buffer.from(JSON.stringify(document));
  const tag = digestOf(changed);
  manifests.set(tag, { ...manifest, bytes: changed });
  tags.set('latest', tag);
}
