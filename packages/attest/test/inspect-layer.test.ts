import { readdir, rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { digestHex, digestOf } from '@lkt/core';
import {
  type Descriptor,
  type EntryWithContent,
  flattenArchives,
  type Layer,
  layersOf,
  SOURCE_DATE_EPOCH,
  type Store,
  UnpackedLayers,
  writeLayer,
} from '@lkt/oci';
import { prefetchInspection } from '../src/index.ts';
import { inspectLayer, layerFiles } from '../src/inspect-layer.ts';
import { cacheFilePath } from '../src/cache-file.ts';
import { file, image, withStore } from './support.ts';

const HASH = digestHex(digestOf('content'));
const FOUND = [{ hash: HASH, path: 'usr/file', size: 7 }];

async function notes(store: Store): Promise<readonly string[]> {
  return readdir(cacheFilePath(store, 'contents', '')).catch(() => []);
}

async function withLayer(
  use: (
    store: Store,
    layers: readonly Descriptor[],
    layer: Descriptor,
    unpackable: readonly Layer[],
  ) => Promise<void>,
): Promise<void> {
  await withStore(async (store) => {
    const found = await image(store, [file('usr/file', 'content')]);
    const { layers } = found.manifest;
    const [layer] = layers;
    if (layer !== undefined) await use(store, layers, layer, layersOf(found));
  });
}

test('an inspection shares a prefetch in progress and reads a finished one', async () => {
  await withLayer(async (store, layers, layer) => {
    const ahead = prefetchInspection(store, layers, new AbortController().signal);
    expect(await layerFiles(store, layer, new Set([HASH]))).toEqual(FOUND);
    await ahead;
    expect(await notes(store)).toEqual([digestHex(layer.digest)]);
    expect(await layerFiles(store, layer, new Set([HASH]))).toEqual(FOUND);
  });
});

test('a prefetch reads archives that were unpacked before', async () => {
  await withLayer(async (store, layers, layer, unpackable) => {
    await using unpacked = new UnpackedLayers(store);
    await flattenArchives(unpacked.archives(unpackable));
    await rm(store.blobPath(layer.digest));
    const { signal } = new AbortController();
    await prefetchInspection(store, layers, signal, unpacked.archives(unpackable));
    expect(await layerFiles(store, layer, new Set([HASH]))).toEqual(FOUND);
  });
});

test('an inspection succeeds although the prefetch that it shared was aborted', async () => {
  await withLayer(async (store, layers, layer) => {
    const ahead = prefetchInspection(store, layers, AbortSignal.abort(new Error('given up')));
    const asked = layerFiles(store, layer, new Set([HASH]));
    await expect(ahead).rejects.toThrow('given up');
    expect(await asked).toEqual(FOUND);
  });
});

test('reads a layer once: a second inspection needs no blob', async () => {
  const head = { mode: 0o4755, uid: 1, gid: 70000, mtime: 12 };
  const entries: EntryWithContent[] = [
    { ...head, path: 'dev', type: 'directory', size: 0 },
    { ...file('dev/\xff "\n', 'content'), ...head },
    { ...file('dev/empty', ''), ...head },
    { ...head, path: 'dev/hard', type: 'hardlink', size: 0, link: 'dev/\xff "\n' },
    { ...head, path: 'dev/null', type: 'char', size: 0, devMajor: 1, devMinor: 3 },
    { ...head, path: 'dev/soft', type: 'symlink', size: 0, link: '../\xfe' },
    file('etc/os-release', 'ID=own\nNAME=\xff'),
  ];
  await withStore(async (store) => {
    const { descriptor } = await writeLayer(store, entries);
    const found = await inspectLayer(store, descriptor);
    await rm(store.blobPath(descriptor.digest));
    expect(await inspectLayer(store, descriptor)).toEqual(found);
    const text = 'ID=own\nNAME=\xff';
    expect(found).toEqual([
      { ...head, path: 'dev', type: 'directory', size: 0 },
      { ...head, path: 'dev/\xff "\n', type: 'file', size: 7, hash: HASH },
      { ...head, path: 'dev/empty', type: 'file', size: 0 },
      { ...head, path: 'dev/hard', type: 'hardlink', size: 0, link: 'dev/\xff "\n' },
      { ...head, path: 'dev/null', type: 'char', size: 0 },
      { ...head, path: 'dev/soft', type: 'symlink', size: 0, link: '../\xfe' },
      {
        path: 'etc/os-release',
        type: 'file',
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: SOURCE_DATE_EPOCH,
        size: Buffer.byteLength(text),
        hash: digestHex(digestOf(text)),
        text,
      },
    ]);
  });
});
