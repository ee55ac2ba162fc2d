import { existsSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { cacheFilePath } from '@lkt/attest/cache-file';
import { digestHex, type ProgressEvent } from '@lkt/core';
import { openStore, parsePlatform, SOURCE_DATE_EPOCH, writeImage, writeLayer } from '@lkt/oci';
import { expect, test } from 'vitest';
import { prefetchBases, type InspectionPrefetch } from '../src/build/prefetch-bases.ts';

const AMD64 = parsePlatform('linux/amd64');
const START: ProgressEvent = { kind: 'start', id: 'one/1', title: '[one 1/2] RUN true' };
const DONE: ProgressEvent = { kind: 'done', id: 'one/1', cached: true };

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('content');
}

async function withBase(
  use: (ahead: InspectionPrefetch, isDescribed: () => boolean) => Promise<void>,
): Promise<void> {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'lkt-ahead-'));
  const store = await openStore(temp.path);
  const entry = { path: 'file', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 7 } as const;
  const layer = await writeLayer(store, [
    { ...entry, mtime: SOURCE_DATE_EPOCH, content: pieces() },
  ]);
  const base = await writeImage(store, { config: {}, layers: [layer], platform: AMD64 });
  const bases = new Map([['base', base.digest]]);
  const ahead = prefetchBases(store, bases, AMD64, { emit: () => undefined });
  const note = cacheFilePath(store, 'contents', digestHex(layer.descriptor.digest));
  await use(ahead, () => existsSync(note));
}

test.each([
  ['a step is done', [START, DONE]],
  ['the first step takes long', [START]],
])('describes a base when %s', async (_, events) => {
  await withBase(async ({ reporter }, isDescribed) => {
    for (const event of events) reporter.emit(event);
    await expect.poll(isDescribed).toBe(true);
  });
});

test('does not describe a base after the build failed', async () => {
  await withBase(async (ahead, isDescribed) => {
    ahead.reporter.emit(START);
    ahead.stop();
    await setTimeout(300);
    expect(isDescribed()).toBe(false);
  });
});
