import { silentReporter } from '@lkt/core';
import type { Image, Store, UnpackedLayers } from '@lkt/oci';
import { ComposeCache } from './cache.ts';
import { chooseCompression } from '@lkt/formats';
import { loadTree } from './tree/image-tree.ts';
import { isKernel, prepareKernel } from './tree/kernel.ts';

export interface PrepareOptions {
  readonly store: Store;
  readonly unpacked: UnpackedLayers;
  readonly signal?: AbortSignal;
}

/**
 * Does to an image what the first composing that has it would do, with the default compressor: its contents are packed, and
 * of a kernel what boots is taken out. Nothing depends on it but how long that takes.
 * @param name for errors
 * @throws LktError as composing
 */
export async function prepareImage(
  name: string,
  image: Image,
  { store, unpacked, signal }: PrepareOptions,
): Promise<void> {
  const cache = new ComposeCache(store, silentReporter, 'contents', signal);
  const packing = await chooseCompression('zstd');
  const { descriptor, manifest } = image;
  const source = { name, key: descriptor.digest, layers: unpacked.archives(manifest.layers) };
  const bareTree = await loadTree(cache, source);
  if (!isKernel(bareTree)) {
    await loadTree(cache, source, packing);
    return;
  }
  const kernel = {
    full: name,
    label: name,
    image,
    tree: async () => loadTree(cache, source, packing),
    bareTree: async () => bareTree,
    archives: () => source.layers,
  };
  await prepareKernel(kernel, { cache, packing });
}
