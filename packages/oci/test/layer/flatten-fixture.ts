import { join } from 'node:path';
import { expect } from 'vitest';
import {
  decompressLayer,
  type Descriptor,
  type Entry,
  type EntryWithContent,
  type FileTree,
  flatten,
  flattenEntries,
  openStore,
  readFiles,
  readTar,
  type Store,
  writeLayer,
} from '../../src/index.ts';
import { collect, entry, tempDir } from '../support.ts';

export interface Flat {
  store: Store;
  layers: Descriptor[];
  tree: FileTree;
}

export async function withLayers(
  layers: readonly EntryWithContent[][],
  use: (flat: Flat) => Promise<void> | void,
): Promise<void> {
  await using temp = await tempDir();
  const store = await openStore(join(temp.path, 'store'));
  const written: Descriptor[] = [];
  for (const entries of layers) written.push((await writeLayer(store, entries)).descriptor);
  const tree = await flatten(store, written);
  expect(await flattenEntries(await listsOf(store, written))).toEqual(tree);
  await use({ store, layers: written, tree });
}

async function listsOf(
  store: Store,
  layers: readonly Descriptor[],
): Promise<{ entries: Entry[] }[]> {
  const lists = [];
  for (const layer of layers) {
    const entries: Entry[] = [];
    for await (const item of readTar(decompressLayer(layer, store.read(layer)))) entries.push(item);
    lists.push({ entries });
  }
  return lists;
}

export async function contents({ store, layers, tree }: Flat): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for await (const item of readFiles(store, layers, tree, () => true))
    result[item.path] = item.content === undefined ? '' : (await collect(item.content)).toString();
  return result;
}

const WHITEOUT = { mode: 0, mtime: 0 };
export const whiteout = (path: string): EntryWithContent => entry(path, WHITEOUT);
