import { join } from 'node:path';
import { expect } from 'vitest';
import {
  decompressLayer,
  type Entry,
  type EntryWithContent,
  type FileTree,
  flatten,
  flattenEntries,
  openStore,
  readFiles,
  readTar,
  type Layer,
  type Store,
  writeLayer,
} from '../../src/index.ts';
import { collect, entry, tempDir } from '../support.ts';

export interface Flat {
  store: Store;
  layers: Layer[];
  tree: FileTree;
}

export async function withLayers(
  layers: readonly EntryWithContent[][],
  use: (flat: Flat) => Promise<void> | void,
): Promise<void> {
  await using temp = await tempDir();
  const store = await openStore(join(temp.path, 'store'));
  const written: Layer[] = [];
  for (const entries of layers) written.push(await writeLayer(store, entries));
  const tree = await flatten(store, written);
  expect(await flattenEntries(await listsOf(store, written))).toEqual(tree);
  await use({ store, layers: written, tree });
}

async function listsOf(store: Store, layers: readonly Layer[]): Promise<{ entries: Entry[] }[]> {
  const lists = [];
  for (const { descriptor } of layers) {
    const entries: Entry[] = [];
    for await (const item of readTar(decompressLayer(descriptor, store.read(descriptor))))
      entries.push(item);
    lists.push({ entries });
  }
  return lists;
}

export async function contents({ store, layers, tree }: Flat): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  const descriptors = layers.map(({ descriptor }) => descriptor);
  for await (const item of readFiles(store, descriptors, tree, () => true))
    result[item.path] = item.content === undefined ? '' : (await collect(item.content)).toString();
  return result;
}

const WHITEOUT = { mode: 0, mtime: 0 };
export const whiteout = (path: string): EntryWithContent => entry(path, WHITEOUT);
