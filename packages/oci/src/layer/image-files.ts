import type { Digest } from '@lkt/core';
import { layersOf, loadImage } from '../image/image.ts';
import type { Platform } from '../image/platform.ts';
import type { Store } from '../store/store.ts';
import { fromRaw } from '../tar/entry.ts';
import { joinChunks, singleChunk } from '../io/chunks.ts';
import { flattenArchives } from './flatten.ts';
import { UnpackedLayers } from './layer-archives.ts';
import { readArchives } from './read-files.ts';
import type { TreeNode } from './tree.ts';

/** Longer files are left out: they are read into memory. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;

/**
 * Returns the files of an image that `want` accepts, by path without a leading slash. Leaves out
 * files of more than 8 MiB.
 */
export async function imageFiles(
  store: Store,
  digest: Digest,
  platform: Platform,
  want: (path: string) => boolean,
): Promise<ReadonlyMap<string, Buffer>> {
  const image = await loadImage(store, digest, platform);
  await using unpacked = new UnpackedLayers(store);
  const archives = unpacked.archives(layersOf(image));
  const tree = await flattenArchives(archives);
  const isWanted = ({ path, size }: TreeNode): boolean =>
    size <= MAX_FILE_BYTES && want(fromRaw(path));
  const files = new Map<string, Buffer>();
  for await (const { path, content } of readArchives(archives, tree, isWanted)) {
    files.set(fromRaw(path), await joinChunks(content ?? singleChunk(Buffer.of())));
  }
  return files;
}
