import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import {
  writeDockerArchive,
  type Image,
  loadImage,
  parsePlatform,
  type Store,
  writeImage,
  writeLayer,
} from '../src/index.ts';
import { file, run, withStore } from './support.ts';

const platform = parsePlatform('linux/amd64');

/** An image of two layers, with the same diff ids for every compression. */
async function image(store: Store, compression: 'gzip' | 'none', more = 'x'): Promise<Image> {
  const layers = [
    await writeLayer(store, [file('a', 'a'.repeat(100_000))], { compression }),
    await writeLayer(store, [file('b', more)], { compression }),
  ];
  const config = { config: { Cmd: ['/a'] } };
  const { digest } = await writeImage(store, { config, layers, platform });
  return loadImage(store, digest, platform);
}

test('skopeo reads the archive with unchanged name, layers and config', async () => {
  await withStore(async (store) => {
    const one = await image(store, 'gzip');
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
