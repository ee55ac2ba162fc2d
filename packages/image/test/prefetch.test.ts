import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ImageToAudit } from '../src/audit/audit-hook.ts';
import { createImageAudit } from '../src/audit/image-audit.ts';
import { ImageCaches } from '../src/image-caches.ts';
import { Prefetch } from '../src/prefetch.ts';
import type { ImageTree } from '../src/tree/image-tree.ts';
import { compose } from './compose-fixture.ts';
import { image, parseConfig, PLATFORM, sampleConfig, tempStore } from './support.ts';

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

it('lets the audit go on when the layers are read, and the build joins it', async () => {
  const store = await tempStore();
  const digest = await image(store, [{ 'etc/': '', 'etc/motd': 'hello' }]);
  const text = `init: [bench/one:1@${digest}]`;
  await using caches = new ImageCaches(store);
  const audit = await createImageAudit({ store, top: store.dir, cwd: store.dir, isGate: false });
  const { promise: reading, resolve: read } = Promise.withResolvers<void>();
  let reads = 0;
  const images: ImageToAudit[] = [];
  /** Audits the image, which can be read only after `read`. */
  const prepare = async (one: ImageToAudit): Promise<void> => {
    const loadedTree = async (): Promise<ImageTree> => {
      reads += 1;
      await reading;
      return (await one.loadedTree()) as ImageTree;
    };
    images.push({ ...one, loadedTree });
    for (const slow of images) await audit.prepare(slow);
  };
  await using prefetch = new Prefetch(caches);
  const options = { store, platform: PLATFORM, format: ['kernel+initrd'] } as const;
  const config = parseConfig({ path: 'system.yml', text });
  await prefetch.start(config, { ...options, audit: { ...audit, prepare } });
  await prefetch.finish();
  const running = audit.run(images);
  read();
  expect(await running).toMatchObject({ images: 1 });
  expect(reads).toBe(1);
});
