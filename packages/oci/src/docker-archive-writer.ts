import { canonicalJson, digestHex, Digester, LktError } from '@lkt/core';
import { decompressLayer } from './compression.ts';
import type { EntryWithContent } from './entry.ts';
import { SOURCE_DATE_EPOCH } from './epoch.ts';
import type { Image } from './image.ts';
import type { Layer } from './layer.ts';
import type { Store } from './store.ts';
import { writeTar } from './tar-writer.ts';

/** An image as it goes into an archive. */
export interface TaggedImage {
  readonly image: Image;
  /** `name:tag`, which who loads it gives it. */
  readonly tags: readonly string[];
}

/**
 * Images as `docker save` writes them, and `docker load`, containerd and skopeo (`docker-archive:`) read them: configs,
 * layers that are not compressed, each once, and `manifest.json`. The bytes follow from configs, layers and tags alone,
 * not from how the layers are compressed. Each layer is unpacked twice: its length comes before it.
 * @throws LktError NOT_FOUND, DIGEST_MISMATCH; IMAGE_INVALID for a layer that is not what the config says
 * @see https://github.com/moby/docker-image-spec/blob/main/v1.2.md "Combined Image JSON + Filesystem Changeset Format"
 */
export async function* writeDockerArchive(
  store: Store,
  images: readonly TaggedImage[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield* writeTar(entriesOf(store, images, signal));
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
    if (!written.has(config)) yield whole(config, await store.readBytes(image.manifest.config));
    written.add(config);
    const layers: string[] = [];
    for (const layer of layersOf(image)) {
      const path = `${digestHex(layer.diffId)}.tar`;
      layers.push(path);
      if (written.has(path)) continue;
      written.add(path);
      const size = await sizeOf(store, image, layer, signal);
      yield file(path, size, unpacked(store, layer, signal));
    }
    manifest.push({
      Config: config,
      Layers: layers,
      // As Go writes an empty list.
      RepoTags: tags.length === 0 ? null : tags,
    });
  }
  yield whole('manifest.json', Buffer.from(`${canonicalJson(manifest)}\n`));
}

function layersOf({ manifest, config }: Image): readonly Layer[] {
  return manifest.layers.flatMap((descriptor, index) => {
    const diffId = config.rootfs.diff_ids[index];
    return diffId === undefined ? [] : [{ descriptor, diffId }];
  });
}

/** The length of the archive in a layer, which is the one that the config names. */
async function sizeOf(
  store: Store,
  { descriptor }: Image,
  layer: Layer,
  signal: AbortSignal | undefined,
): Promise<number> {
  const digester = new Digester();
  for await (const chunk of unpacked(store, layer, signal)) digester.update(chunk);
  if (digester.digest() === layer.diffId) return digester.size;
  throw new LktError(
    'IMAGE_INVALID',
    `layer ${layer.descriptor.digest} of image ${descriptor.digest} is not the ${layer.diffId} that its config names`,
  );
}

async function* unpacked(
  store: Store,
  { descriptor }: Layer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of decompressLayer(descriptor, store.read(descriptor))) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

function whole(path: string, bytes: Uint8Array): EntryWithContent {
  return file(path, bytes.length, once(bytes));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function file(path: string, size: number, content: AsyncIterable<Uint8Array>): EntryWithContent {
  return {
    path,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: SOURCE_DATE_EPOCH,
    size,
    content,
  };
}
