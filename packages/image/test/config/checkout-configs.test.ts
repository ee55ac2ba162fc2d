import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { checkoutConfigs } from '../../src/config/checkout-configs.ts';

async function configsOf(paths: Readonly<Record<string, string>>): Promise<readonly string[]> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-configs-'));
  for (const [path, text] of Object.entries(paths)) {
    mkdirSync(join(dir.path, dirname(path)), { recursive: true });
    writeFileSync(join(dir.path, path), text);
  }
  return await checkoutConfigs(dir.path, dir.path);
}

const FILES = {
  'examples/one.yml': '',
  'examples/one.lock.yml': '',
  'examples/fleet/fleet.yml': '',
  'examples/fleet/node.yml': '',
  'examples/fleet/haproxy.cfg': '',
  'examples/other/data.yml': '',
  'images/two.yml': '',
  'images/shop/fleet.yml': '',
  'images/shop/web.yml': '',
  'images/shop/web.lock.yml': '',
  'images/fleet.yml': '',
};

test('finds configs in examples and images, and those of fleets below', async () => {
  expect(await configsOf(FILES)).toEqual([
    'examples/fleet/node.yml',
    'examples/one.yml',
    'images/shop/web.yml',
    'images/two.yml',
  ]);
});

test('finds those that lkt.yml names, and no fleet', async () => {
  const own = 'images: ["images/**/*.yml"]\n';
  expect(await configsOf({ ...FILES, 'lkt.yml': own })).toEqual([
    'images/shop/web.yml',
    'images/two.yml',
  ]);
});
