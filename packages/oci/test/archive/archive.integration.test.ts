import { createReadStream, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { exportImage, importImages, loadImage } from '../../src/index.ts';
import { chunks, run, thrown } from '../support.ts';
import {
  NAME,
  FULL,
  ARM,
  AMD,
  temporary,
  newStore,
  newImage,
  newIndex,
  exported,
} from './archive-fixture.ts';

function skopeo(...args: readonly string[]): string {
  return run('skopeo', args).toString();
}

describe('OCI archive', () => {
  it('is read by skopeo, and reads what skopeo writes', async () => {
    const dir = await temporary();
    const store = await newStore();
    const index = await newIndex(store);
    const ours = join(dir, 'ours.tar');
    await writeFile(ours, await exported(store, index));
    const theirs = join(dir, 'theirs.tar');
    skopeo('copy', '-q', '--all', `oci-archive:${ours}`, `oci-archive:${theirs}:example/app:2`);
    const other = await newStore();
    const { images } = await importImages(other, createReadStream(theirs));
    expect(images).toMatchObject([
      { reference: 'docker.io/example/app:2', descriptor: { digest: index.digest } },
    ]);
    // A bare tag is no image name.
    skopeo('copy', '-q', '--all', `oci-archive:${ours}`, `oci-archive:${dir}/tag.tar:v1`);
    const nameless = importImages(await newStore(), createReadStream(join(dir, 'tag.tar')));
    expect(await thrown(nameless)).toMatchObject({
      code: 'USAGE_INVALID',
      fix: 'pass a name: --name registry.example/team/app:1',
    });
    const named = await importImages(other, createReadStream(join(dir, 'tag.tar')), {
      name: 'example/named',
    });
    expect(named.images).toMatchObject([{ reference: 'docker.io/example/named:latest' }]);
  });
});

describe('Docker archive', () => {
  it('holds one platform, is read by skopeo, and keeps its digest on import', async () => {
    const dir = await temporary();
    const store = await newStore();
    const index = await newIndex(store);
    const options = { format: 'docker', platforms: [ARM] } as const;
    const bytes = await exported(store, index, options);
    expect((await exported(store, index, options)).equals(bytes)).toBe(true);
    const path = join(dir, 'docker.tar');
    await writeFile(path, bytes);
    const config = JSON.parse(skopeo('inspect', '--config', `docker-archive:${path}:${FULL}`)) as {
      architecture: string;
    };
    expect(config.architecture).toBe('arm64');
    const other = await newStore();
    const { images } = await importImages(other, createReadStream(path));
    const { descriptor } = await loadImage(store, index.digest, ARM);
    expect(images).toEqual([{ reference: FULL, descriptor }]);
    const two = exportImage(store, index, { ...options, reference: NAME, platforms: [ARM, AMD] });
    expect(await thrown(two)).toMatchObject({ code: 'USAGE_INVALID' });
  });

  it('reads skopeo archives: links, uncompressed layers, several names', async () => {
    const dir = await temporary();
    const store = await newStore();
    const image = await newImage(store);
    await writeFile(join(dir, 'ours.tar'), await exported(store, image));
    const path = join(dir, 'docker.tar');
    const more = ['--additional-tag', 'example/app:b'];
    skopeo(
      'copy',
      '-q',
      ...more,
      `oci-archive:${dir}/ours.tar`,
      `docker-archive:${path}:example/app:a`,
    );
    for (const bytes of [
      readFileSync(path),
      gzipSync(readFileSync(path)),
      zstdCompressSync(readFileSync(path)),
    ]) {
      const other = await newStore();
      const { images } = await importImages(other, chunks(bytes));
      expect(images.map(({ reference }) => reference).toSorted()).toEqual([
        'docker.io/example/app:a',
        'docker.io/example/app:b',
      ]);
      const found = await loadImage(other, images[0]?.descriptor.digest ?? image.digest, AMD);
      expect(found.config).toEqual((await loadImage(store, image.digest, AMD)).config);
      expect((await other.verify()).bad).toEqual([]);
    }
  });
});
