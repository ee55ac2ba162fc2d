import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  type Layer,
  loadImage,
  MediaType,
  parsePlatform,
  type Store,
  writeImage,
  writeIndex,
  writeLayer,
} from '../../src/index.ts';
import { directory, failure, file, withStore, putJson } from '../support.ts';

const AMD64 = parsePlatform('linux/amd64');
const ARM64 = parsePlatform('linux/arm64');

async function layerOf(store: Store): Promise<Layer> {
  return writeLayer(store, [directory('etc'), file('etc/motd', 'hello\n')]);
}

test('a layer, an image and an index have golden digests', async () => {
  await withStore(async (store) => {
    const layer = await layerOf(store);
    expect(layer).toEqual({
      descriptor: {
        mediaType: MediaType.layerGzip,
        digest: 'sha256:aef1998e338eed9dc4f28d77766412a7a000672c7608516f7d2b5227af9daeda',
        size: 134,
      },
      diffId: 'sha256:fbbd8d7e6e6bc17c49753c8819ef6cf8c90c923f9e2f78640a40d6b4d154c3b2',
    });
    const plain = await writeLayer(store, [directory('etc'), file('etc/motd', 'hello\n')], {
      compression: 'none',
    });
    expect(plain.descriptor).toEqual({
      mediaType: MediaType.layerTar,
      digest: layer.diffId,
      size: 2560,
    });
    const image = await writeImage(store, {
      config: { config: { Cmd: ['/bin/sh'], Labels: { b: '1', a: '2' } } },
      layers: [layer],
      platform: AMD64,
    });
    expect(image).toEqual({
      mediaType: MediaType.ociManifest,
      digest: 'sha256:86cae9c60b58a9f9fececab128c6e1f2762c14849947222b973414e6e1e88ed5',
      size: 401,
      platform: AMD64,
    });
    expect((await writeIndex(store, [image])).digest).toBe(
      'sha256:8af5b2b8f29e5a35826ec43977de725a6bbf91fe3f9425b73645f2d433da3fa2',
    );
  });
});

test('an image does not depend on the key order of its config', async () => {
  await withStore(async (store) => {
    const layers = [await layerOf(store)];
    const one = await writeImage(store, {
      config: { author: 'x', config: { User: 'u', Env: [] } },
      layers,
      platform: AMD64,
    });
    const two = await writeImage(store, {
      config: { config: { Env: [], User: 'u' }, author: 'x' },
      layers,
      platform: { ...AMD64 },
    });
    expect(two).toEqual(one);
  });
});

describe('loadImage', () => {
  test('loads a written image by index and by manifest', async () => {
    await withStore(async (store) => {
      const layer = await layerOf(store);
      const amd64 = await writeImage(store, {
        config: { created: '2020-01-01T00:00:00Z', config: { User: 'a' } },
        layers: [layer],
        platform: AMD64,
      });
      const arm64 = await writeImage(store, {
        config: {},
        layers: [layer, layer],
        platform: ARM64,
      });
      const index = await writeIndex(store, [amd64, arm64]);
      const image = await loadImage(store, index.digest, AMD64);
      expect(image).toEqual(await loadImage(store, amd64.digest, AMD64));
      expect(image.descriptor).toEqual(amd64);
      expect(image.config).toEqual({
        created: '2020-01-01T00:00:00Z',
        config: { User: 'a' },
        os: 'linux',
        architecture: 'amd64',
        rootfs: { type: 'layers', diff_ids: [layer.diffId] },
      });
      expect(image.manifest.layers).toEqual([layer.descriptor]);
      const other = await loadImage(store, index.digest, ARM64);
      expect(other.config.created).toBe('2017-04-18T16:30:00Z');
      expect(other.manifest.layers).toHaveLength(2);
    });
  });

  test('names the available platforms if none matches', async () => {
    await withStore(async (store) => {
      const arm64 = await writeImage(store, { config: {}, layers: [], platform: ARM64 });
      const attestation = { ...arm64, platform: { os: 'unknown', architecture: 'unknown' } };
      const index = await putJson(store, MediaType.ociIndex, {
        schemaVersion: 2,
        manifests: [arm64, attestation],
      });
      const error = await failure('NOT_FOUND', loadImage(store, index.digest, AMD64));
      expect(error.message).toBe(
        `image ${index.digest} is not available for linux/amd64, only for linux/arm64`,
      );
      await failure('NOT_FOUND', loadImage(store, arm64.digest, AMD64));
      await failure('NOT_FOUND', loadImage(store, digestOf('absent'), AMD64));
    });
  });

  test('accepts entries without platform, as LinuxKit writes for one architecture, and nested indexes', async () => {
    await withStore(async (store) => {
      const { platform: _none, ...amd64 } = await writeImage(store, {
        config: {},
        layers: [],
        platform: AMD64,
      });
      const { platform: _no, ...arm64 } = await writeImage(store, {
        config: {},
        layers: [],
        platform: ARM64,
      });
      const inner = await putJson(store, MediaType.ociIndex, {
        schemaVersion: 2,
        manifests: [arm64, amd64],
      });
      const outer = await putJson(store, MediaType.ociIndex, {
        schemaVersion: 2,
        manifests: [inner],
      });
      expect((await loadImage(store, outer.digest, AMD64)).descriptor).toEqual({
        ...amd64,
        platform: AMD64,
      });
      let deep = outer;
      for (let level = 0; level < 3; level += 1)
        deep = await putJson(store, MediaType.ociIndex, { schemaVersion: 2, manifests: [deep] });
      await failure('IMAGE_INVALID', loadImage(store, deep.digest, AMD64));
    });
  });

  test('rejects an image whose config contradicts the platform in the index', async () => {
    await withStore(async (store) => {
      const arm64 = await writeImage(store, { config: {}, layers: [], platform: ARM64 });
      const index = await putJson(store, MediaType.ociIndex, {
        schemaVersion: 2,
        manifests: [{ ...arm64, platform: AMD64 }],
      });
      await failure('NOT_FOUND', loadImage(store, index.digest, AMD64));
    });
  });

  test('rejects layers without diff ids, artifacts and text, naming the digest', async () => {
    await withStore(async (store) => {
      const config = await putJson(store, MediaType.ociConfig, {
        os: 'linux',
        architecture: 'amd64',
        rootfs: { type: 'layers', diff_ids: [] },
      });
      const { descriptor: layer } = await layerOf(store);
      const lacking = await putJson(store, MediaType.ociManifest, {
        schemaVersion: 2,
        config,
        layers: [layer],
      });
      expect(
        (await failure('IMAGE_INVALID', loadImage(store, lacking.digest, AMD64))).message,
      ).toContain('has 1 layers, but its config lists 0');
      const artifact = await putJson(store, MediaType.ociManifest, {
        schemaVersion: 2,
        config: { ...config, mediaType: MediaType.ociEmpty },
        layers: [],
      });
      await failure('NOT_FOUND', loadImage(store, artifact.digest, AMD64));
      const text = await store.writeBytes(Buffer.from('text'));
      expect(
        (await failure('IMAGE_INVALID', loadImage(store, text.digest, AMD64))).message,
      ).toContain(text.digest);
    });
  });
});

test('writeIndex requires a platform for each image', async () => {
  await withStore(async (store) => {
    const { platform: _none, ...image } = await writeImage(store, {
      config: {},
      layers: [],
      platform: AMD64,
    });
    await expect(writeIndex(store, [image])).rejects.toThrow(/has no platform/);
  });
});
