import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Descriptor, parseManifest, parsePlatform, writeImage } from '@lkt/oci';
import { expect, it } from 'vitest';
import { at, client, isWhole, methods, newImage, newStore, serve, temporary } from './support.ts';

// Pulls into a shared store, reads everything while others write, and pulls into a store of its
// own. Nothing may fail or go unhandled.
const SCRIPT = `
import { openStore, parseManifest, parseReference } from '@lkt/oci';
import { createRegistry } from '@lkt/registry';
const [reference, ...dirs] = process.argv.slice(1);
await using registry = createRegistry();
await Promise.all(dirs.map(async (dir) => {
  const store = await openStore(dir);
  const image = await registry.pullImage(store, parseReference(reference));
  const { layers } = parseManifest(await store.readBytes(image));
  await Promise.all([...layers, ...layers].map(async (layer) => {
    for await (const part of store.read(layer)) void part;
  }));
}));
`;

it('concurrent processes pull, write and read the pushed content', async () => {
  const registry = await serve();
  const source = await newStore();
  const sizes = [1, 65_536, 2 ** 20, 2 ** 20 + 1, 3_000_001, 5_000_000];
  await client().pushImage(source, await newImage(source, sizes), at(registry));
  const shared = await newStore();
  const own = await Promise.all([1, 2, 3, 4].map(async () => newStore()));
  const flags = ['--max-semi-space-size=1', '--max-old-space-size=48', '--input-type=module'];
  const home = await temporary();
  await Promise.all(
    own.map(async ({ dir }) =>
      promisify(execFile)(
        process.execPath,
        [...flags, '-e', SCRIPT, `${registry.host}/app:1`, shared.dir, dir],
        { cwd: import.meta.dirname, env: { PATH: process.env['PATH'], HOME: home } },
      ),
    ),
  );
  for (const store of [shared, ...own]) expect(await isWhole(store)).toBe(true);
});

it('concurrent processes download each blob once into a shared store', async () => {
  const registry = await serve();
  const source = await newStore();
  const sizes = [1, 2 ** 20, 3_000_001, 20_000_000, 20_000_001];
  await client().pushImage(source, await newImage(source, sizes), at(registry));
  const { dir } = await newStore();
  (registry.requests as unknown[]).length = 0;
  const home = await temporary();
  await Promise.all(
    [1, 2, 3].map(async () =>
      promisify(execFile)(
        process.execPath,
        ['--input-type=module', '-e', SCRIPT, `${registry.host}/app:1`, dir],
        { cwd: import.meta.dirname, env: { PATH: process.env['PATH'], HOME: home } },
      ),
    ),
  );
  const paths = registry.requests.map(({ path }) => path).filter((path) => /blobs/.test(path));
  expect(paths).toHaveLength(new Set(paths).size);
  expect(paths).toHaveLength(sizes.length + 1);
});

it('concurrent pulls of images that share blobs download each once', async () => {
  const registry = await serve();
  const source = await newStore();
  const image = await newImage(source, [1000, 2_000_000]);
  const layer = parseManifest(await source.readBytes(image)).layers[1] as Descriptor;
  const { digest } = layer;
  const other = await writeImage(source, {
    config: { config: { Env: ['OTHER=1'] } },
    layers: [{ descriptor: layer, diffId: digest }],
    platform: parsePlatform('linux/amd64'),
  });
  const lkt = client();
  await lkt.pushImage(source, image, at(registry));
  await lkt.pushImage(source, other, at(registry, 'other:1'));
  (registry.requests as unknown[]).length = 0;
  const store = await newStore();
  // One client each, as in commands that open several.
  await Promise.all(
    ['app:1', 'other:1', 'app:1'].map(async (name) =>
      client().pullImage(store, at(registry, name)),
    ),
  );
  expect(methods(registry, new RegExp(`blobs/${digest}`))).toEqual(['GET']);
  expect(await isWhole(store)).toBe(true);
});
