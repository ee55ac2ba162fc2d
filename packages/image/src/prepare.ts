import { relative, sep } from 'node:path';
import { LktError, silentReporter } from '@lkt/core';
import { type Image, type LayerArchive, loadImage, type Store, UnpackedLayers } from '@lkt/oci';
import type { BuiltPackage, Package, Workspace } from '@lkt/pkg';
import { chooseCompression } from '@lkt/formats';
import { auditOnce } from './audit/image-audit.ts';
import { ComposeCache } from './cache.ts';
import { loadTree } from './tree/image-tree.ts';
import { isKernel, prepareKernel } from './tree/kernel.ts';

interface PrepareOptions {
  readonly store: Store;
  readonly unpacked: UnpackedLayers;
  readonly signal?: AbortSignal;
}

/**
 * Fills the cache as the first build with this image would do with the default compressor: packs
 * contents, and extracts a kernel's boot files.
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

/** Bytes of layers. Smaller images gain nothing, and larger ones are usually only base images. */
const [MIN_LAYER_BYTES, MAX_LAYER_BYTES] = [2 ** 19, 2 ** 26];

/**
 * Prepares and audits freshly built images, except tools, for the builds that will use them.
 * Ignores their errors.
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
        await auditOnce({ store, signal }, { full: item.name, digest, archives });
      }
  } catch (error) {
    if (!(error instanceof LktError) || signal?.aborted === true) throw error;
  }
}

/** Reports whether a package is only a build tool. */
function isTool(root: string, { dir }: Package): boolean {
  return relative(root, dir).split(sep)[0] === 'tools';
}
