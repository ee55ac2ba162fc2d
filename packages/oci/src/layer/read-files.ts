import { LktError } from '@lkt/core';
import type { Descriptor } from '../image/descriptor.ts';
import { type EntryWithContent, fromRaw, type RawPath } from '../tar/entry.ts';
import { type LayerArchive, layerArchive } from './layer-archives.ts';
import { joinChunks, singleChunk } from '../io/chunks.ts';
import type { Store } from '../store/store.ts';
import { readTar } from '../tar/tar-reader.ts';
import type { FileTree, TreeNode } from './tree.ts';

/**
 * Yields the contents of the tree's files that `want` accepts, layer by layer in archive order.
 * Unpacks each layer at most once. `want` is called for files, not for hard links. The entries have
 * the paths of the tree. Each layer is verified to its end after its last file.
 * @example
 * ```ts
 * for await (const file of readFiles(store, layers, tree, (node) => node.path.endsWith('.ko')))
 *   for await (const chunk of file.content ?? []) use(chunk);
 * ```
 */
export function readFiles(
  store: Store,
  layers: readonly Descriptor[],
  tree: FileTree,
  want: (node: TreeNode) => boolean,
): AsyncGenerator<EntryWithContent> {
  return readArchives(
    layers.map((layer) => layerArchive(store, layer)),
    tree,
    want,
  );
}

/** Yields files of opened layers; otherwise as `readFiles`. */
export async function* readArchives(
  archives: readonly LayerArchive[],
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
  for (const [index, archive] of archives.entries()) {
    const nodes = wanted.get(index);
    if (nodes !== undefined) yield* readArchive(archive, nodes);
  }
}

/**
 * Returns the content of the file at `path`, following links.
 * @throws NOT_FOUND; IMAGE_INVALID if it is longer than `limit` bytes
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
    throw new LktError('NOT_FOUND', `the image has no file /${fromRaw(path)}`);
  if (node.size > limit) {
    throw new LktError(
      'IMAGE_INVALID',
      `/${fromRaw(path)} has ${node.size} bytes, more than ${limit}`,
    );
  }
  let whole: Buffer = Buffer.alloc(0);
  // Read to the end, where the layer is verified.
  for await (const { content } of readFiles(store, layers, tree, (item) => item === node))
    whole = await joinChunks(content ?? singleChunk(whole));
  return whole;
}

async function* readArchive(
  archive: LayerArchive,
  nodes: ReadonlyMap<number, TreeNode>,
): AsyncGenerator<EntryWithContent> {
  let last = 0;
  for (const ordinal of nodes.keys()) last = Math.max(last, ordinal);
  await using opened = archive.open();
  let ordinal = 0;
  for await (const entry of readTar(opened.data)) {
    const node = nodes.get(ordinal);
    if (node !== undefined) yield { ...node, content: entry.content };
    if (ordinal === last) break;
    ordinal += 1;
  }
  await opened.finish();
}
