import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { openStore, writeImage, writeLayer } from '@lkt/oci';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { file } from '../../../builder/test/fixture.ts';
import { onlyImage } from './built-image.ts';
import type { Peer } from './peers.ts';
import { rememberedPeer } from './remembered-peer.ts';
import type { ConformanceCase } from './suite.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-peer-'));
const at = (path: string): string => join(dir, path);
afterAll(() => rmSync(dir, { recursive: true }));

let calls = 0;
/** Makes an image of one file, and fails for the Dockerfile `fails`. */
const peer: Peer = async (item, directory) => {
  calls += 1;
  if (item.dockerfile === 'fails') return { error: `error ${calls}` };
  const result = join(directory, 'result');
  const store = await openStore(result);
  const layer = await writeLayer(store, [file('call', String(calls))]);
  const platform = { os: 'linux', architecture: 'amd64' };
  const { digest } = await writeImage(store, { config: {}, layers: [layer], platform });
  writeFileSync(join(result, 'index.json'), JSON.stringify({ manifests: [{ digest }] }));
  return { image: { ...(await onlyImage(result)), hasTimes: false } };
};

let item: ConformanceCase;
beforeEach(() => {
  calls = 0;
  rmSync(at('cache'), { recursive: true, force: true });
  vi.stubEnv('XDG_CACHE_HOME', at('cache'));
  rmSync(at('context'), { recursive: true, force: true });
  mkdirSync(at('context/sub'), { recursive: true });
  writeFileSync(at('context/Dockerfile'), 'FROM scratch\n');
  writeFileSync(at('context/sub/a'), 'a');
  item = {
    name: 'a case',
    context: at('context'),
    dockerfile: 'Dockerfile',
    shouldFailAt: 0,
    mounts: null,
    buildArgs: {},
  };
});

const BASE = new Map([['base', digestOf('one')]]);

/** Returns which call of the peer made the result, and forgets where it was made. */
async function made(
  one: ConformanceCase,
  { images = BASE, versions = 'docker 1', keeps = true } = {},
): Promise<string> {
  const directory = mkdtempSync(at('place-'));
  const run = rememberedPeer('other', peer, versions, images);
  const { outcome, keep } = await run(one, directory);
  if (keeps) await keep();
  rmSync(directory, { recursive: true });
  if ('error' in outcome) return outcome.error;
  const again = (await run(one, directory)).outcome;
  if (keeps && 'image' in again) {
    expect(again.image.diffIds).toEqual(outcome.image.diffIds);
    expect(again.image.hasTimes).toBe(false);
    expect([...(await again.image.files()).keys()]).toEqual(['call']);
  }
  return `image ${calls}`;
}

test('loads the image of the same case', async () => {
  expect(await made(item)).toBe('image 1');
  expect(await made({ ...item, name: 'other name' })).toBe('image 1');
});

test('loads an expected error too', async () => {
  expect(await made({ ...item, dockerfile: 'fails' })).toBe('error 1');
  expect(await made({ ...item, dockerfile: 'fails' })).toBe('error 1');
});

test.each<[string, () => Promise<string>]>([
  [
    'a file',
    async () => {
      writeFileSync(at('context/sub/a'), 'b');
      return made(item);
    },
  ],
  [
    'the mode of a file',
    async () => {
      chmodSync(at('context/sub/a'), 0o755);
      return made(item);
    },
  ],
  [
    'the name of a file',
    async () => {
      writeFileSync(at('context/b'), '');
      return made(item);
    },
  ],
  ['an argument', async () => made({ ...item, buildArgs: { A: '1' } })],
  ['the Dockerfile that is built', async () => made({ ...item, dockerfile: 'Dockerfile.two' })],
  ['an image', async () => made(item, { images: new Map([['base', digestOf('two')]]) })],
  ['the version of the builder', async () => made(item, { versions: 'docker 2' })],
  [
    'the stored image, which has lost a layer',
    async () => {
      const layers = at('cache/lkt-proofs/images/blobs');
      rmSync(layers, { recursive: true });
      return made(item);
    },
  ],
])('builds again after a change of %s', async (_, change) => {
  await made(item);
  expect(await change()).toBe('image 2');
});

test('does not store a case with an unexpected result', async () => {
  await made(item, { keeps: false });
  const before = calls;
  await made(item);
  expect(calls).toBe(before + 1);
});
