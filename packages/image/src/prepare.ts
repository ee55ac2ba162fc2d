import { relative, sep } from 'node:path';
import { LktError, silentReporter } from '@lkt/core';
import { type Image, type LayerArchive, loadImage, type Store, UnpackedLayers } from '@lkt/oci';
import type { BuiltPackage, Package, Workspace } from '@lkt/pkg';
import { chooseCompression } from '@lkt/formats';
import { rememberAudit } from './audit/image-audit.ts';
import { ComposeCache } from './cache.ts';
import { loadTree } from './tree/image-tree.ts';
import { isKernel, prepareKernel } from './tree/kernel.ts';

interface PrepareOptions {
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
async function prepareImage(
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

/** Bytes of layers. What has less is as fast when it is composed; what has more is most likely what others are built on. */
const [MIN_LAYER_BYTES, MAX_LAYER_BYTES] = [2 ** 19, 2 ** 26];

/**
 * Does to what was built just now, but for tools, what the first image that has it would do, and looks at it as `lkt build`
 * does. No build fails for that.
 */
export async function prepareImages(
  store: Store,
  { root }: Workspace,
  packages: readonly BuiltPackage[],
  signal?: AbortSignal,
): Promise<void> {
  const built = packages.filter(({ cached, item }) => !cached && !isTool(root, item));
  try {
    await using unpacked = new UnpackedLayers(store);
    for (const { item, images } of built)
      for (const { digest, platform: of } of images) {
        if (of === undefined) continue;
        const image = await loadImage(store, digest, of);
        const { layers } = image.manifest;
        const total = layers.reduce((sum, { size }) => sum + size, 0);
        if (total < MIN_LAYER_BYTES || total > MAX_LAYER_BYTES) continue;
        await prepareImage(item.name, image, { store, unpacked, signal });
        const archives = (): readonly LayerArchive[] => unpacked.archives(layers);
        await rememberAudit({ store, signal }, { full: item.name, digest, archives });
      }
  } catch (error) {
    if (!(error instanceof LktError) || signal?.aborted === true) throw error;
  }
}

/** What only other packages are made with. */
function isTool(root: string, { dir }: Package): boolean {
  return relative(root, dir).split(sep)[0] === 'tools';
}
