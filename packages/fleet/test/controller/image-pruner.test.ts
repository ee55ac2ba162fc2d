import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import type { ImageKeeper, KeptImage } from '../../src/image/kept-images.ts';
import { ProviderError } from '../../src/provider.ts';
import { fleet, image, type Setting, start } from './wrong-provider.ts';

const DAY_MS = 86_400_000;
const [earlier, oldest, foreign] = ['earlier', 'oldest', 'foreign'].map((text) => digestOf(text));

/** Images in memory. */
class Images implements ImageKeeper {
  kept: readonly KeptImage[] = [earlier, oldest, foreign, image].map((digest = image, index) => ({
    id: `image-${index}`,
    digest,
    created: Date.now() - (40 - index) * DAY_MS,
  }));
  failure: ProviderError | undefined;

  async list(): Promise<readonly KeptImage[]> {
    return this.kept;
  }

  async isUsed({ digest }: KeptImage): Promise<boolean> {
    return digest === foreign;
  }

  async remove({ id }: KeptImage): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.kept = this.kept.filter((one) => one.id !== id);
  }
}

function startWith(images: Images, dir: string, more = 'images: { keep: 0 }\n'): Setting {
  return start(dir, Date.now, `${fleet.file.text}${more}`, images);
}

const digests = ({ kept }: Images): readonly string[] => kept.map(({ digest }) => digest);

test('removes what nothing names or uses, once the fleet has converged', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const images = new Images();
  const setting = startWith(images, dir.path);
  await setting.pass();
  const [node] = setting.provider.nodes;
  if (node === undefined || earlier === undefined) throw new Error('no node');
  // A rollback would return to it.
  await setting.provider.label(node.id, { ...node.labels, previous: earlier });
  expect(digests(images)).toHaveLength(4);
  for (let passes = 0; passes < 4; passes += 1) await setting.pass();
  expect(digests(images)).toEqual([earlier, foreign, image]);
  expect(setting.events.filter(({ kind }) => kind === 'image removed')).toMatchObject([
    { image: oldest, message: 'here: image-1' },
  ]);
});

test('shows what it would remove', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const images = new Images();
  const { controller } = startWith(images, dir.path);
  const { unusedImages } = await controller.observe(new AbortController().signal, {
    hasImages: true,
  });
  expect(unusedImages).toMatchObject([
    { provider: 'here', digest: earlier },
    { provider: 'here', digest: oldest },
  ]);
  expect(digests(images)).toHaveLength(4);
});

test.each([
  ['without settings', ''],
  ['below the number to keep', 'images: { keep: 3 }\n'],
  ['of young images', 'images: { keep: 0, after: 365d }\n'],
])('removes nothing %s', async (_, more) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const images = new Images();
  const setting = startWith(images, dir.path, more);
  for (let passes = 0; passes < 5; passes += 1) await setting.pass();
  expect(setting.events.at(-1)).toMatchObject({ kind: 'converged' });
  expect(digests(images)).toHaveLength(4);
});

function requireHeld(): void {
  throw new Error('lost');
}

test('removes nothing while a node is missing, or without the lease', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const images = new Images();
  const setting = startWith(images, dir.path);
  setting.provider.failure = new ProviderError('capacity', 'full');
  for (let passes = 0; passes < 5; passes += 1) await setting.pass();
  setting.provider.failure = undefined;
  expect(digests(images)).toHaveLength(4);
  const other = startWith(images, dir.path);
  other.provider.nodes = [...setting.provider.nodes];
  const call = { generation: 1, signal: new AbortController().signal };
  for (let passes = 0; passes < 4; passes += 1) await other.controller.pass(call).catch(() => 0);
  images.kept = new Images().kept;
  const third = startWith(images, dir.path);
  third.provider.nodes = [...other.provider.nodes];
  await expect(third.controller.pass({ ...call, requireHeld })).rejects.toThrow('lost');
  expect(digests(images)).toHaveLength(4);
});

test('reports once that a provider refuses, and continues', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const images = new Images();
  images.failure = new ProviderError('denied', 'no right');
  const setting = startWith(images, dir.path);
  for (let passes = 0; passes < 8; passes += 1) await setting.pass();
  expect(setting.events.filter(({ kind }) => kind === 'error')).toMatchObject([
    { message: 'images of here stay: no right' },
  ]);
  images.failure = new ProviderError('fenced', 'another controller');
  const later = startWith(images, dir.path);
  later.provider.nodes = setting.provider.nodes;
  await expect(later.pass()).rejects.toMatchObject({ failure: 'fenced' });
});
