import { canonicalJson, type Digest, LktError } from '@lkt/core';
import type { Descriptor } from './descriptor.ts';
import { SOURCE_DATE_EPOCH } from './epoch.ts';
import type { Layer } from './layer.ts';
import {
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  isIndex,
  parseImageConfig,
  parseManifestOrIndex,
} from './manifest.ts';
import { MediaType } from './media-type.ts';
import { formatPlatform, type Platform, platformMatches } from './platform.ts';
import type { Store } from './store.ts';

export interface Image {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/** A config without what the layers and the platform say. */
export type NewImageConfig = Omit<ImageConfig, 'rootfs' | 'os' | 'architecture' | 'variant'>;

/** An index may lead to an index; not much further. */
const MAX_DEPTH = 3;

/**
 * Writes config and manifest. Both are JSON in one form, so equal images have equal digests. A config without a time
 * of creation gets SOURCE_DATE_EPOCH.
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
    ...(variant === undefined ? {} : { variant }),
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId) },
  };
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, ...(await writeJson(store, config)) },
    layers: image.layers.map((layer) => layer.descriptor),
  };
  const platform: Platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  return { mediaType: MediaType.ociManifest, ...(await writeJson(store, manifest)), platform };
}

/** Writes an index of manifests, in their order. */
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
 * The image for a platform: of an index, or the manifest itself.
 * @throws LktError NOT_FOUND when a blob is missing or there is none for the platform, naming those there are;
 * IMAGE_INVALID, DIGEST_MISMATCH
 */
export async function loadImage(store: Store, digest: Digest, platform: Platform): Promise<Image> {
  const offered = new Set<string>();
  const found = await find(store, { digest }, platform, offered, MAX_DEPTH);
  if (found !== undefined) return found;
  const list = [...offered].toSorted().join(', ');
  throw new LktError(
    'NOT_FOUND',
    `image ${digest} is not for ${formatPlatform(platform)}, but for ${list === '' ? 'nothing known' : list}`,
  );
}

async function find(
  store: Store,
  blob: { readonly digest: Digest; readonly size?: number },
  platform: Platform,
  offered: Set<string>,
  depth: number,
): Promise<Image | undefined> {
  const bytes = await store.readBytes(blob);
  const document = at(blob.digest, () => parseManifestOrIndex(bytes));
  if (!isIndex(document))
    return imageOf(store, blob.digest, bytes.length, document, platform, offered);
  if (depth === 0)
    throw new LktError('IMAGE_INVALID', `image index ${blob.digest} is nested too deep`);
  for (const item of document.manifests) {
    if (item.platform !== undefined && !platformMatches(item.platform, platform)) {
      // Attestations stand in an index as images of an unknown platform.
      if (item.platform.os !== 'unknown') offered.add(formatPlatform(item.platform));
      continue;
    }
    const found = await find(store, item, platform, offered, depth - 1);
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
  offered: Set<string>,
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
    offered.add(formatPlatform(config));
    return undefined;
  }
  if (config.rootfs.diff_ids.length !== layers.length) {
    throw new LktError(
      'IMAGE_INVALID',
      `image ${digest} has ${layers.length} layers, but its config names ${config.rootfs.diff_ids.length}`,
    );
  }
  const { os, architecture, variant } = config;
  return {
    descriptor: {
      mediaType,
      digest,
      size,
      platform: {
        os,
        architecture,
        ...(variant === undefined || variant === '' ? {} : { variant }),
      },
    },
    manifest,
    config,
  };
}

function at<T>(digest: Digest, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw new LktError(error.code, `${digest} is ${error.message}`, { cause: error });
  }
}

async function writeJson(store: Store, value: unknown): Promise<{ digest: Digest; size: number }> {
  return store.writeBytes(Buffer.from(canonicalJson(value)));
}
