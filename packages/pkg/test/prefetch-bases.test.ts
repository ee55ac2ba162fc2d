import { existsSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFilePath } from '@lkt/attest/cache-file';
import { digestHex } from '@lkt/core';
import { openStore, parsePlatform, SOURCE_DATE_EPOCH, writeImage, writeLayer } from '@lkt/oci';
import { expect, test } from 'vitest';
import { prefetchBases } from '../src/build/prefetch-bases.ts';

const AMD64 = parsePlatform('linux/amd64');

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('content');
}

/** Prefetches a base in a store of its own, and reports whether its contents are described. */
async function prefetchOne(signal: AbortSignal): Promise<boolean> {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'lkt-ahead-'));
  const store = await openStore(temp.path);
  const entry = { path: 'file', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 7 } as const;
  const layer = await writeLayer(store, [
    { ...entry, mtime: SOURCE_DATE_EPOCH, content: pieces() },
  ]);
  const base = await writeImage(store, { config: {}, layers: [layer], platform: AMD64 });
  const bases = new Map([['base', base.digest]]);
  const note = cacheFilePath(store, 'contents', digestHex(layer.descriptor.digest));
  await prefetchBases(store, bases, AMD64, signal);
  return existsSync(note);
}

test('describes the bases of a build', async () => {
  expect(await prefetchOne(new AbortController().signal)).toBe(true);
});

test('stops when the build fails', async () => {
  expect(await prefetchOne(AbortSignal.abort())).toBe(false);
});
