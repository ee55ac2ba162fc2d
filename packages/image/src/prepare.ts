import { relative, sep } from 'node:path';
import { LktError } from '@lkt/core';
import { loadImage, type Store } from '@lkt/oci';
import type { BuiltPackage, Package, Workspace } from '@lkt/pkg';
import { chooseCompression } from '@lkt/formats';
import { auditOnce } from './audit/image-audit.ts';
import type { ComposeCache } from './cache.ts';
import { ImageCaches } from './image-caches.ts';
import { isKernel, prepareKernel } from './tree/kernel.ts';
import type { Packing } from './tree/packed-files.ts';
import { type SourceImage, sourceImage } from './tree/source-image.ts';

/**
 * Fills the cache as the first build with this image would do with the default compressor: packs
 * contents, and extracts a kernel's boot files.
 * @throws LktError as composing
 */
async function prepareImage(
  image: SourceImage,
  cache: ComposeCache,
  packing: Packing,
): Promise<void> {
  if (isKernel(await image.bareTree())) await prepareKernel(image, { cache, packing });
  else await image.tree();
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
    await using caches = new ImageCaches(store, { signal });
    const packing = await chooseCompression('zstd');
    for (const { item, images } of built)
      for (const { digest, platform: of } of images) {
        if (of === undefined) continue;
        const image = await loadImage(store, digest, of);
        const { layers } = image.manifest;
        const total = layers.reduce((sum, { size }) => sum + size, 0);
        if (total < MIN_LAYER_BYTES || total > MAX_LAYER_BYTES) continue;
        const { name } = item;
        const source = sourceImage({ full: name, label: name }, image, caches, packing);
        await prepareImage(source, caches.contents, packing);
        await auditOnce({ store, signal }, source);
        caches.trees.clear();
      }
  } catch (error) {
    if (!(error instanceof LktError) || signal?.aborted === true) throw error;
  }
}

/** Reports whether a package is only a build tool. */
function isTool(root: string, { dir }: Package): boolean {
  return relative(root, dir).split(sep)[0] === 'tools';
}
