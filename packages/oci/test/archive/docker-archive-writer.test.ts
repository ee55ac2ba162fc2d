import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { writeDockerArchive, writeLayer } from '../../src/index.ts';
import { collect, failure, file, listTar, withStore } from '../support.ts';
import { twoLayerImage } from './docker-archive-fixture.ts';

test('writeDockerArchive writes golden bytes for every compression of the layers', async () => {
  await withStore(async (store) => {
    const archives = await Promise.all(
      (['gzip', 'none'] as const).map(async (compression) =>
        collect(
          writeDockerArchive(store, [
            { image: await twoLayerImage(store, compression), tags: ['x/y:1'] },
          ]),
        ),
      ),
    );
    const golden = 'sha256:7ac878f5f2c433e1d0f968fc1e27c34e169161c368eeb2ef6ac3ade46f30cac8';
    expect(archives.map((archive) => digestOf(archive))).toEqual([golden, golden]);
  });
});

test('writeDockerArchive writes a shared layer once, and no tags for an untagged image', async () => {
  await withStore(async (store) => {
    const images = [
      { image: await twoLayerImage(store, 'gzip'), tags: [] },
      { image: await twoLayerImage(store, 'gzip', 'y'), tags: ['x:1', 'x:2'] },
    ];
    const entries = await listTar(writeDockerArchive(store, images));
    expect(entries).toHaveLength(2 + 3 + 1);
    const [manifest] = entries.slice(-1);
    expect(manifest?.path).toBe('manifest.json');
    expect(JSON.parse(String(manifest?.data))).toMatchObject([
      { RepoTags: null },
      { RepoTags: ['x:1', 'x:2'] },
    ]);
  });
});

test('writeDockerArchive rejects a layer that does not match its diff id', async () => {
  await withStore(async (store) => {
    const one = await twoLayerImage(store, 'gzip');
    const other = await writeLayer(store, [file('evil', 'x')]);
    const layers = [other.descriptor, ...one.manifest.layers.slice(1)];
    const wrong = { ...one, manifest: { ...one.manifest, layers } };
    const work = collect(writeDockerArchive(store, [{ image: wrong, tags: [] }]));
    expect((await failure('IMAGE_INVALID', work)).message).toContain(
      'does not match its diff id sha256:',
    );
  });
});
