import { canonicalJson, type Digest, LktError, withPrefix } from '@lkt/core';
import type { Descriptor } from './descriptor.ts';
import { SOURCE_DATE_EPOCH } from './epoch.ts';
import type { Layer } from '../layer/layer.ts';
import {
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  isIndex,
  parseImageConfig,
  parseManifestOrIndex,
} from './manifest.ts';
import { MediaType } from './media-type.ts';
import { formatPlatform, type Platform, platformMatches, platformOf } from './platform.ts';
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
  const found = await find(store, { digest }, platform, available, MAX_DEPTH);
  if (found !== undefined) return found;
  const list = [...available].toSorted().join(', ');
  throw new LktError(
    'NOT_FOUND',
    `image ${digest} is not available for ${formatPlatform(platform)}, only for ${list === '' ? 'unknown platforms' : list}`,
  );
}

async function find(
  store: Store,
  blob: { readonly digest: Digest; readonly size?: number },
  platform: Platform,
  available: Set<string>,
  depth: number,
): Promise<Image | undefined> {
  const bytes = await store.readBytes(blob);
  const document = at(blob.digest, () => parseManifestOrIndex(bytes));
  if (!isIndex(document))
    return imageOf(store, blob.digest, bytes.length, document, platform, available);
  if (depth === 0)
    throw new LktError('IMAGE_INVALID', `image index ${blob.digest} is nested too deeply`);
  for (const item of document.manifests) {
    if (item.platform !== undefined && !platformMatches(item.platform, platform)) {
      // Attestations appear in an index as images of an unknown platform.
      if (item.platform.os !== 'unknown') available.add(formatPlatform(item.platform));
      continue;
    }
    const found = await find(store, item, platform, available, depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function imageOf(
  store: Store,
  digest: Digest,
  size: number,
  manifest: ImageManifest,
  platform: Platform,
  available: Set<string>,
): Promise<Image | undefined> {
  const mediaType = manifest.mediaType ?? MediaType.ociManifest;
  const { config: configBlob, layers } = manifest;
  if (
    configBlob.mediaType !== MediaType.ociConfig &&
    configBlob.mediaType !== MediaType.dockerConfig
  )
    return undefined;
  const bytes = await store.readBytes(configBlob);
  const config = at(configBlob.digest, () => parseImageConfig(bytes));
  if (!platformMatches(config, platform)) {
    available.add(formatPlatform(config));
    return undefined;
  }
  if (config.rootfs.diff_ids.length !== layers.length) {
    throw new LktError(
      'IMAGE_INVALID',
      `image ${digest} has ${layers.length} layers, but its config lists ${config.rootfs.diff_ids.length}`,
    );
  }
  const descriptor = { mediaType, digest, size, platform: platformOf(config) };
  return { descriptor, manifest, config };
}

function at<T>(digest: Digest, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw withPrefix(error, `${digest} is `);
  }
}

async function writeJson(store: Store, value: unknown): Promise<{ digest: Digest; size: number }> {
  return store.writeBytes(Buffer.from(canonicalJson(value)));
}
