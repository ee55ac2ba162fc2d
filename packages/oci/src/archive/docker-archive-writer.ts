import { canonicalJson, digestAlgorithm, digestHex, LktError } from '@lkt/core';
import { unpackedInfo, unpackedLayer } from '../layer/unpacked-layer.ts';
import { type EntryWithContent, plainFile } from '../tar/entry.ts';
import type { Image } from '../image/image.ts';
import type { Layer } from '../layer/layer.ts';
import type { Store } from '../store/store.ts';
import { writeTar } from '../tar/tar-writer.ts';

/** An image to write into an archive. */
export interface TaggedImage {
  readonly image: Image;
  /** `name:tag` references that the image gets when it is loaded. */
  readonly tags: readonly string[];
}

/**
 * Yields images as an archive that `docker load`, containerd and skopeo (`docker-archive:`) read:
 * configs, uncompressed layers, each once, and `manifest.json`. The bytes depend only on configs,
 * layers and tags, not on the layers' compression. Each layer is unpacked twice, because its length
 * precedes it.
 * @throws NOT_FOUND, DIGEST_MISMATCH; IMAGE_INVALID if a layer does not match its diff id
 * @see https://github.com/moby/docker-image-spec/blob/main/v1.2.md "Combined Image JSON +
 * Filesystem Changeset Format"
 * @example
 * ```ts
 * const image = await loadImage(store, digest, parsePlatform('linux/amd64'));
 * await writeFile('app.tar', writeDockerArchive(store, [{ image, tags: ['app:1'] }]));
 * ```
 */
export function writeDockerArchive(
  store: Store,
  images: readonly TaggedImage[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  return writeTar(entriesOf(store, images, signal));
}

async function* entriesOf(
  store: Store,
  images: readonly TaggedImage[],
  signal: AbortSignal | undefined,
): AsyncGenerator<EntryWithContent> {
  const written = new Set<string>();
  const manifest: unknown[] = [];
  for (const { image, tags } of images) {
    const config = `${digestHex(image.manifest.config.digest)}.json`;
    if (!written.has(config)) yield plainFile(config, await store.readBytes(image.manifest.config));
    written.add(config);
    const layers: string[] = [];
    for (const layer of layersOf(image)) {
      const path = `${digestHex(layer.diffId)}.tar`;
      layers.push(path);
      if (written.has(path)) continue;
      written.add(path);
      const size = await sizeOf(store, image, layer, signal);
      yield { ...plainFile(path), size, content: unpackedLayer(store, layer.descriptor, signal) };
    }
    manifest.push({
      Config: config,
      Layers: layers,
      // Go writes an empty list as null.
      RepoTags: tags.length === 0 ? null : tags,
    });
  }
  yield plainFile('manifest.json', Buffer.from(`${canonicalJson(manifest)}\n`));
}

function layersOf({ manifest, config }: Image): readonly Layer[] {
  return manifest.layers.flatMap((descriptor, index) => {
    const diffId = config.rootfs.diff_ids[index];
    return diffId === undefined ? [] : [{ descriptor, diffId }];
  });
}

/** Returns the length of a layer's tar archive after checking it against the config's diff id. */
async function sizeOf(
  store: Store,
  { descriptor }: Image,
  layer: Layer,
  signal: AbortSignal | undefined,
): Promise<number> {
  const algorithm = digestAlgorithm(layer.diffId);
  const { digest, size } = await unpackedInfo(store, layer.descriptor, algorithm, signal);
  if (digest === layer.diffId) return size;
  throw new LktError(
    'IMAGE_INVALID',
    `layer ${layer.descriptor.digest} of image ${descriptor.digest} does not match its diff id ${layer.diffId}`,
  );
}
