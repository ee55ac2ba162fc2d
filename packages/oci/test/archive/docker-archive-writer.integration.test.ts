import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { writeDockerArchive } from '../../src/index.ts';
import { run, withStore } from '../support.ts';
import { twoLayerImage } from './docker-archive-fixture.ts';

test('skopeo reads the archive with unchanged name, layers and config', async () => {
  await withStore(async (store) => {
    const one = await twoLayerImage(store, 'gzip');
    const path = join(store.dir, 'archive.tar');
    await writeFile(path, writeDockerArchive(store, [{ image: one, tags: ['x.example/y:1'] }]));
    const copy = join(store.dir, 'copy');
    run('skopeo', ['copy', '--quiet', `docker-archive:${path}:x.example/y:1`, `dir:${copy}`]);
    const config = run('skopeo', ['inspect', '--config', '--raw', `dir:${copy}`]);
    expect(digestOf(config)).toBe(one.manifest.config.digest);
    const { Layers } = JSON.parse(run('skopeo', ['inspect', `dir:${copy}`]).toString()) as {
      Layers: Digest[];
    };
    // `dir:` stores blobs unchanged: uncompressed archives.
    expect(Layers).toEqual(one.config.rootfs.diff_ids);
  });
});
