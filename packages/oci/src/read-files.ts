import { LktError } from '@lkt/core';
import { decompressLayer } from './compression.ts';
import type { Descriptor } from './descriptor.ts';
import { type EntryWithContent, fromRaw, type RawPath } from './entry.ts';
import type { Store } from './store.ts';
import { readTar } from './tar-reader.ts';
import type { FileTree, TreeNode } from './tree.ts';

/**
 * The contents of the files of a tree that are wanted, layer by layer and in each in the order of the archive. Each
 * layer is unpacked at most once, whatever is wanted. `want` is asked for files, not for hard links to them; what comes
 * has the path of the tree. A layer is checked as a whole after its last file was given.
 */
export async function* readFiles(
  store: Store,
  layers: readonly Descriptor[],
  tree: FileTree,
  want: (node: TreeNode) => boolean,
): AsyncGenerator<EntryWithContent> {
  const wanted = new Map<number, Map<number, TreeNode>>();
  for (const node of tree.walk()) {
    if (node.type !== 'file' || node.ordinal === undefined || !want(node)) continue;
    const ofLayer = wanted.get(node.layer);
    if (ofLayer === undefined) wanted.set(node.layer, new Map([[node.ordinal, node]]));
    else ofLayer.set(node.ordinal, node);
  }
  for (const [index, layer] of layers.entries()) {
    const nodes = wanted.get(index);
    if (nodes !== undefined) yield* readLayer(store, layer, nodes);
  }
}

/**
 * The content of one file, links followed.
 * @throws LktError NOT_FOUND; IMAGE_INVALID when it is longer than `limit`.
 */
export async function readFile(
  store: Store,
  layers: readonly Descriptor[],
  tree: FileTree,
  path: RawPath,
  limit: number,
): Promise<Buffer> {
  const found = tree.lookup(path);
  const node = found?.type === 'hardlink' ? tree.get(found.link ?? '') : found;
  if (node?.type !== 'file')
    throw new LktError('NOT_FOUND', `there is no file /${fromRaw(path)} in the image`);
  if (node.size > limit) {
    throw new LktError(
      'IMAGE_INVALID',
      `/${fromRaw(path)} has ${node.size} bytes, more than ${limit}`,
    );
  }
  const parts: Uint8Array[] = [];
  for await (const file of readFiles(store, layers, tree, (item) => item === node))
    for await (const part of file.content ?? []) parts.push(part);
  return Buffer.concat(parts);
}

async function* readLayer(
  store: Store,
  layer: Descriptor,
  nodes: ReadonlyMap<number, TreeNode>,
): AsyncGenerator<EntryWithContent> {
  const last = Math.max(...nodes.keys());
  const blob = store.read(layer)[Symbol.asyncIterator]();
  // What stops the unpacking after the last file must not stop the reading of the blob.
  const source: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: async () => blob.next() }),
  };
  try {
    let ordinal = 0;
    for await (const entry of readTar(decompressLayer(layer, source))) {
      const node = nodes.get(ordinal);
      if (node !== undefined)
        yield { ...node, ...(entry.content === undefined ? {} : { content: entry.content }) };
      if (ordinal === last) break;
      ordinal += 1;
    }
    // The blob's own check is at its end.
    while ((await blob.next()).done !== true);
  } finally {
    await blob.return?.();
  }
}
