import { type Digest, digestOf } from '@lkt/core';
import { loadImage, MediaType, parsePlatform, type Store } from '@lkt/oci';
import type { TestRegistry } from '@lkt/testing';
import { expect, it } from 'vitest';
import { at, client, failure, newStore, serve } from './support.ts';

const amd64 = parsePlatform('linux/amd64');
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', ...infoOf('{}') };

interface Info {
  readonly digest: Digest;
  readonly size: number;
}

interface Item extends Info {
  readonly mediaType: string;
}

function infoOf(content: Buffer | string): Info {
  return { digest: digestOf(content), size: Buffer.byteLength(content) };
}

/** A repository that an attacker fills. */
class Repository {
  readonly registry: TestRegistry;

  constructor(registry: TestRegistry) {
    this.registry = registry;
  }

  get storage(): ReturnType<TestRegistry['storage']['repository']> {
    return this.registry.storage.repository('app', true);
  }

  blob(content: Buffer | string): Info {
    const info = infoOf(content);
    this.storage.blobs.set(info.digest, Buffer.from(content as string));
    return info;
  }

  /** Puts a manifest, served with a media type, and returns its descriptor. */
  put(document: object, mediaType: string = MediaType.ociManifest): Item {
    const bytes = Buffer.from(JSON.stringify(document));
    this.storage.manifests.set(digestOf(bytes), { mediaType, bytes });
    return { mediaType, ...infoOf(bytes) };
  }

  tag({ digest }: Info): void {
    this.storage.tags.set('1', digest);
  }

  image(platform = { os: 'linux', architecture: 'amd64' }, more: object = {}): Item {
    const layer = this.blob(Buffer.alloc(1024));
    const config = this.blob(
      JSON.stringify({ ...platform, rootfs: { type: 'layers', diff_ids: [layer.digest] } }),
    );
    return this.put({
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      config: { mediaType: MediaType.ociConfig, ...config },
      layers: [{ mediaType: MediaType.layerTar, ...layer }],
      ...more,
    });
  }

  index(manifests: readonly object[], more: object = {}): Item {
    const document = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests, ...more };
    return this.put(document, MediaType.ociIndex);
  }
}

const platform = { os: 'linux', architecture: 'amd64' };
const other = { os: 'linux', architecture: 'arm64' };
const wide = (item: object, count: number): object[] => Array.from({ length: count }, () => item);

/** Images of an attacker, and reasons of a client to reject them. */
const ATTACKS: readonly [string, (repo: Repository) => Info, RegExp][] = [
  [
    'an index in an index, four deep',
    (repo) => {
      let item = repo.image();
      for (let depth = 0; depth < 4; depth += 1) item = repo.index([item]);
      return item;
    },
    /nested too deeply/,
  ],
  [
    'a wide index of one wide index of one wide index',
    (repo) => {
      let item: Item = repo.image(other);
      for (let depth = 0; depth < 3; depth += 1) item = repo.index(wide(item, 15_000));
      return item;
    },
    /not available for linux\/amd64/,
  ],
  [
    'twenty manifests of a megabyte',
    (repo) =>
      repo.index(
        Array.from({ length: 20 }, (_, count) =>
          repo.image(other, { annotations: { count: `${count}`, long: 'x'.repeat(2 ** 20) } }),
        ),
      ),
    /more than 16777216 bytes of manifests/,
  ],
  [
    'a wide index of images that are missing',
    (repo) =>
      repo.index(
        Array.from({ length: 20_000 }, (_, count) => ({
          mediaType: MediaType.ociManifest,
          ...infoOf(`missing ${count}`),
        })),
      ),
    /not in the registry/,
  ],
  [
    'an image of another platform than its index says',
    (repo) => repo.index([{ ...repo.image(other), platform }]),
    /not available for linux\/amd64/,
  ],
  [
    'an index that an index calls an image',
    (repo) =>
      repo.index([
        { ...repo.index([{ ...repo.image(), platform }]), mediaType: MediaType.ociManifest },
      ]),
    /media type|mediaType|"manifests"|"layers" or "config"/,
  ],
  [
    'an image that an index calls an index',
    (repo) => repo.index([{ ...repo.image(), platform, mediaType: MediaType.ociIndex }]),
    /media type|mediaType|"manifests"|"layers" or "config"/,
  ],
  [
    'an image of OCI that an index calls one of Docker',
    (repo) => repo.index([{ ...repo.image(), platform, mediaType: MediaType.dockerManifest }]),
    /media type|mediaType|"manifests"|"layers" or "config"/,
  ],
  [
    'an image without media type that an index calls an index',
    (repo) => {
      const image = repo.image(platform, { mediaType: undefined });
      return repo.index([{ ...image, platform, mediaType: MediaType.ociIndex }]);
    },
    /media type|mediaType|"manifests"|"layers" or "config"/,
  ],
  [
    'an image that is served as an index',
    (repo) => {
      const image = repo.image(platform, { mediaType: undefined });
      const { manifests } = repo.storage;
      const { bytes } = manifests.get(image.digest) ?? { bytes: Buffer.of() };
      manifests.set(image.digest, { mediaType: MediaType.ociIndex, bytes });
      return image;
    },
    /"layers" or "config"/,
  ],
  [
    'an image and index at once, served as an index',
    (repo) => repo.index([repo.image()], { config: EMPTY, layers: [] }),
    /"layers" or "config"/,
  ],
  [
    'an image and index at once, served as an image',
    (repo) => repo.image(platform, { manifests: [] }),
    /"manifests"/,
  ],
  [
    'an artifact instead of an image',
    (repo) => {
      repo.blob('{}');
      return repo.image(platform, { config: EMPTY, artifactType: 'text/plain' });
    },
    /not available for linux\/amd64|not an image/,
  ],
  [
    'an image whose config is a list',
    (repo) =>
      repo.image(platform, { config: { mediaType: MediaType.ociConfig, ...repo.blob('[]') } }),
    /not an object|image config/,
  ],
  [
    'a config of ten megabytes',
    (repo) =>
      repo.image(platform, {
        config: { mediaType: MediaType.ociConfig, ...repo.blob(Buffer.alloc(10 * 2 ** 20, ' ')) },
      }),
    /bytes/,
  ],
  [
    'a config of petabytes',
    (repo) =>
      repo.image(platform, {
        config: { mediaType: MediaType.ociConfig, ...repo.blob('{}'), size: 2 ** 52 },
      }),
    /bytes|wrong content/,
  ],
  [
    'an image that its index says is empty',
    (repo) => repo.index([{ ...repo.image(), platform, size: 0 }]),
    /0 bytes/,
  ],
  [
    'an image that its index says is huge',
    (repo) => repo.index([{ ...repo.image(), platform, size: 2 ** 50 }]),
    /bytes/,
  ],
  [
    'a layer that its manifest says is empty',
    (repo) =>
      repo.image(platform, {
        layers: [
          { mediaType: MediaType.layerTar, digest: infoOf(Buffer.alloc(1024)).digest, size: 0 },
        ],
      }),
    /bytes|wrong content/,
  ],
  [
    'a layer whose data another digest has',
    (repo) =>
      repo.image(platform, {
        layers: [
          {
            mediaType: MediaType.layerTar,
            ...infoOf('abc'),
            data: Buffer.from('abc').toString('base64'),
          },
        ],
      }),
    /not have|not in/,
  ],
  [
    'a layer at another address',
    (repo) =>
      repo.image(platform, {
        layers: [
          {
            mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
            ...infoOf('abc'),
            urls: [`${repo.registry.url}/v2/app/blobs/x`],
          },
        ],
      }),
    /not have|not in/,
  ],
  [
    'more layers than its config lists',
    (repo) => {
      const layer = { mediaType: MediaType.layerTar, ...infoOf(Buffer.alloc(1024)) };
      return repo.image(platform, { layers: [layer, layer] });
    },
    /has 2 layers, but its config lists 1/,
  ],
  [
    'a manifest nested a hundred thousand times',
    (repo) => {
      const bytes = Buffer.from(`{"schemaVersion":2,"x":${'['.repeat(1e5)}${']'.repeat(1e5)}}`);
      repo.storage.manifests.set(digestOf(bytes), { mediaType: MediaType.ociManifest, bytes });
      return infoOf(bytes);
    },
    /levels|nested|valid/,
  ],
];

async function pullAndLoad(store: Store, registry: TestRegistry, digest?: Digest): Promise<void> {
  const { tag: _tag, ...rest } = at(registry);
  const reference = digest === undefined ? at(registry) : { ...rest, digest };
  const pulled = await client().pullImage(store, reference, { platforms: [amd64] });
  await loadImage(store, pulled.digest, amd64);
}

it.each(ATTACKS)('rejects %s', async (_what, make, reason) => {
  const registry = await serve();
  const repo = new Repository(registry);
  const made = make(repo);
  repo.tag(made);
  for (const digest of [undefined, made.digest]) {
    const store = await newStore();
    const error = await failure(pullAndLoad(store, registry, digest));
    expect(error).toHaveProperty('code');
    expect(error.message).toMatch(reason);
    // A second time, from what the first one left.
    expect((await failure(pullAndLoad(store, registry, digest))).message).toMatch(reason);
  }
});

/** Answers to HEAD of the tag, which another image of the registry has. */
const LIES: readonly [string, (good: Item, other: Item) => Record<string, string>][] = [
  ['another size', () => ({ 'content-length': '7' })],
  ['a huge size', () => ({ 'content-length': `${2 ** 50}` })],
  ['the type of an index', () => ({ 'content-type': MediaType.ociIndex })],
  ['the type of Docker', () => ({ 'content-type': MediaType.dockerManifest })],
  ['a missing digest', () => ({ 'docker-content-digest': `sha256:${'0'.repeat(64)}` })],
  ['the size of another image', (_good, { size }) => ({ 'content-length': `${size}` })],
];

it.each(LIES)('rejects a tag whose HEAD states %s', async (_what, lie) => {
  const registry = await serve();
  const repo = new Repository(registry);
  const good = repo.image();
  const annotations = { long: 'x'.repeat(100) };
  repo.tag(good);
  const headers = {
    'docker-content-digest': good.digest,
    'content-type': MediaType.ociManifest,
    'content-length': `${good.size}`,
    ...lie(good, repo.image(platform, { annotations })),
  };
  registry.fault(
    { method: 'HEAD', path: /manifests/, times: 100 },
    { kind: 'respond', status: 200, headers },
  );
  const store = await newStore();
  expect(await failure(pullAndLoad(store, registry))).toHaveProperty('code');
  await pullAndLoad(store, registry, good.digest);
  // Nor from the store.
  expect(await failure(pullAndLoad(store, registry))).toHaveProperty('code');
});
