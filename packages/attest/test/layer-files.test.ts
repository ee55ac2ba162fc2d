import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { digestHex, digestOf } from '@lkt/core';
import type { Descriptor, Store } from '@lkt/oci';
import { hashLayersAhead } from '../src/index.ts';
import { layerFiles } from '../src/layer-files.ts';
import { noteFile } from '../src/notes.ts';
import { file, image, withStore } from './support.ts';

const HASH = digestHex(digestOf('content'));
const FOUND = [{ hash: HASH, path: 'usr/file', size: 7 }];

async function notes(store: Store): Promise<readonly string[]> {
  return readdir(noteFile(store, 'layers', '')).catch(() => []);
}

async function withLayer(
  use: (store: Store, layers: readonly Descriptor[], layer: Descriptor) => Promise<void>,
): Promise<void> {
  await withStore(async (store) => {
    const { layers } = (await image(store, [file('usr/file', 'content')])).manifest;
    const [layer] = layers;
    if (layer !== undefined) await use(store, layers, layer);
  });
}

test('what is hashed ahead is there for who asks, at once or later', async () => {
  await withLayer(async (store, layers, layer) => {
    const ahead = hashLayersAhead(store, layers, new AbortController().signal);
    expect(await layerFiles(store, layer, new Set([HASH]))).toEqual(FOUND);
    await ahead;
    expect(await notes(store)).toEqual([digestHex(layer.digest)]);
    expect(await layerFiles(store, layer, new Set([HASH]))).toEqual(FOUND);
  });
});

test('who asks does not go without when it is given up', async () => {
  await withLayer(async (store, layers, layer) => {
    const ahead = hashLayersAhead(store, layers, AbortSignal.abort(new Error('given up')));
    const asked = layerFiles(store, layer, new Set([HASH]));
    await expect(ahead).rejects.toThrow('given up');
    expect(await asked).toEqual(FOUND);
  });
});
