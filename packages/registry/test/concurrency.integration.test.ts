import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { at, client, isWhole, newImage, newStore, serve, temporary } from './support.ts';

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
