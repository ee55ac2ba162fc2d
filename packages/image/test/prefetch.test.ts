import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ImageCaches } from '../src/image-caches.ts';
import { Prefetch } from '../src/prefetch.ts';
import { compose } from './compose-fixture.ts';
import { parseConfig, PLATFORM, sampleConfig, tempStore } from './support.ts';

const GZIP = '1f8b';

it('reads the layers of all images, also modules of the kernel, so that composing reads none', async () => {
  const store = await tempStore();
  const text = await sampleConfig(store);
  {
    await using caches = new ImageCaches(store);
    await using prefetch = new Prefetch(caches);
    const options = { store, platform: PLATFORM, format: ['kernel+initrd'] } as const;
    await prefetch.start(parseConfig({ path: 'system.yml', text }), options);
    await prefetch.finish();
  }
  const blobs = join(store.dir, 'blobs/sha256');
  const layers = readdirSync(blobs).filter(
    (name) => readFileSync(join(blobs, name)).toString('hex', 0, 2) === GZIP,
  );
  expect(layers.length).toBeGreaterThan(1);
  for (const name of layers) rmSync(join(blobs, name));
  const { files } = await compose(store, text);
  expect(files.map(({ path }) => path.replace(/.*\//, ''))).toContain('system-initrd.img');
});
