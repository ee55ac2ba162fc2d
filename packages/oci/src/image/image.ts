import { canonicalJson, type Digest, LktError } from '@lkt/core';
import type { Descriptor } from './descriptor.ts';
import { SOURCE_DATE_EPOCH } from './epoch.ts';
import type { Layer } from '../layer/layer.ts';
import {
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  isIndex,
  parseBlob,
  parseImageConfig,
  parseDescribed,
  parseManifestOrIndex,
} from './manifest.ts';
import { isIndexType, isManifestType, MediaType } from './media-type.ts';
import { formatPlatform, type Platform, platformMatches, platformOf } from './platform.ts';
import type { BlobInfo, BlobRef } from '../store/blobs.ts';
import type { Store } from '../store/store.ts';

/** A loaded image of one platform: manifest and config. */
export interface Image {
  /** The manifest's descriptor, with platform. */
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/** An image config without the parts that the layers and the platform determine. */
export type NewImageConfig = Omit<ImageConfig, 'rootfs' | 'os' | 'architecture' | 'variant'>;

/** Maximum nesting of indexes. */
const MAX_DEPTH = 3;

/**
 * Writes an image's config and manifest as canonical JSON, so that equal images have equal digests.
 * `created` defaults to SOURCE_DATE_EPOCH.
 * @returns the manifest's descriptor
 * @example
 * ```ts
 * const layer = await writeLayer(store, entries);
 * const config = { config: { Cmd: ['/bin/app'] } };
 * const image = await writeImage(store, { config, layers: [layer], platform });
 * ```
 */
export async function writeImage(
  store: Store,
  image: {
    readonly config: NewImageConfig;
    readonly layers: readonly Layer[];
    readonly platform: Platform;
  },
): Promise<Descriptor> {
  const { os, architecture, variant } = image.platform;
  const config: ImageConfig = {
    created: new Date(SOURCE_DATE_EPOCH * 1000).toISOString().replace('.000Z', 'Z'),
    ...image.config,
    os,
    architecture,
    variant,
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId) },
  };
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, ...(await writeJson(store, config)) },
    layers: image.layers.map((layer) => layer.descriptor),
  };
  const platform = { os, architecture, variant };
  return { mediaType: MediaType.ociManifest, ...(await writeJson(store, manifest)), platform };
}

/** Writes an image index of manifests in the given order. Each needs a platform. */
export async function writeIndex(
  store: Store,
  manifests: readonly Descriptor[],
): Promise<Descriptor> {
  for (const { digest, platform } of manifests)
    if (platform === undefined) throw new Error(`manifest ${digest} has no platform`);
  const index: ImageIndex = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
  return { mediaType: MediaType.ociIndex, ...(await writeJson(store, index)) };
}

/**
 * Loads the image for a platform from an index, or from the manifest itself.
 * @throws NOT_FOUND if a blob is missing, or no image is for the platform: the message lists the
 * available ones; IMAGE_INVALID, DIGEST_MISMATCH
 * @example
 * ```ts
 * const { manifest, config } = await loadImage(store, digest, parsePlatform('linux/arm64'));
 * ```
 */
export async function loadImage(store: Store, digest: Digest, platform: Platform): Promise<Image> {
  const available = new Set<string>();
  for await (const image of imagesOf(store, { digest }, platform, available)) {
    const [count, listed] = [image.manifest.layers.length, image.config.rootfs.diff_ids.length];
    if (count === listed) return image;
    throw new LktError(
      'IMAGE_INVALID',
      `image ${image.descriptor.digest} has ${count} layers, but its config lists ${listed}`,
    );
  }
  const list = [...available].toSorted().join(', ');
  throw new LktError(
    'NOT_FOUND',
    `image ${digest} is not available for ${formatPlatform(platform)}, only for ${list === '' ? 'unknown platforms' : list}`,
  );
}

/** Returns the layers of an image with their diff ids. */
export function layersOf({
  manifest,
  config,
}: Pick<Image, 'manifest' | 'config'>): readonly Layer[] {
  return manifest.layers.map((descriptor, index) => {
    const diffId = config.rootfs.diff_ids[index];
    if (diffId === undefined) throw new Error(`layer ${descriptor.digest} has no diff id`);
    return { descriptor, diffId };
  });
}

/** Yields the images of a manifest or index for a platform; adds the other ones to `available`. */
async function* imagesOf(
  store: Store,
  blob: BlobRef & Partial<Pick<Descriptor, 'mediaType'>>,
  platform: Platform,
  available: Set<string>,
  depth = MAX_DEPTH,
  seen = new Set<string>(),
): AsyncGenerator<Image> {
  const key = `${blob.digest} ${depth}`;
  // Indexes that list others a thousand times, three deep, would take forever.
  if (seen.has(key)) return;
  seen.add(key);
  const { mediaType } = blob;
  const bytes = await store.readBytes(blob);
  const document = parseBlob(blob.digest, bytes, (content) =>
    mediaType === undefined ? parseManifestOrIndex(content) : parseDescribed(content, mediaType),
  );
  if (!isIndex(document)) {
    const image = await imageOf(store, { ...blob, size: bytes.length }, document);
    if (image === undefined) return;
    if (platformMatches(image.config, platform)) yield image;
    else available.add(formatPlatform(image.config));
    return;
  }
  if (depth === 0)
    throw new LktError('IMAGE_INVALID', `image index ${blob.digest} is nested too deeply`);
  for (const item of document.manifests) {
    if (!isIndexType(item.mediaType) && !isManifestType(item.mediaType)) continue;
    if (item.platform === undefined || platformMatches(item.platform, platform))
      yield* imagesOf(store, item, platform, available, depth - 1, seen);
    // Attestations appear in an index as images of an unknown platform.
    else if (item.platform.os !== 'unknown') available.add(formatPlatform(item.platform));
  }
}

/** Returns the image of a manifest; undefined for another artifact. */
async function imageOf(
  store: Store,
  { digest, size }: BlobInfo,
  manifest: ImageManifest,
): Promise<Image | undefined> {
  const { mediaType = MediaType.ociManifest, config: blob } = manifest;
  if (blob.mediaType !== MediaType.ociConfig && blob.mediaType !== MediaType.dockerConfig)
    return undefined;
  const config = parseBlob(blob.digest, await store.readBytes(blob), parseImageConfig);
  const descriptor = { mediaType, digest, size, platform: platformOf(config) };
  return { descriptor, manifest, config };
}

async function writeJson(store: Store, value: unknown): Promise<BlobInfo> {
  return store.writeBytes(Buffer.from(canonicalJson(value)));
}
