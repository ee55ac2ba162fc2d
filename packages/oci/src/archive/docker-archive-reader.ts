import {
  canonicalJson,
  type Digest,
  digestAlgorithm,
  digestFromHex,
  hasDigest,
  LktError,
  readJson,
} from '@lkt/core';
import type { ArchiveFiles } from './archive-files.ts';
import { compressionOf } from './archive-compression.ts';
import { type ArchiveEntry, fullName } from './archive-names.ts';
import { unpackedInfo } from '../layer/unpacked-layer.ts';
import { type Descriptor, listFrom, objectFrom, textFrom } from '../image/descriptor.ts';
import { type RawPath, toRaw } from '../tar/entry.ts';
import { type ImageManifest, parseImageConfig } from '../image/manifest.ts';
import { MediaType } from '../image/media-type.ts';
import { platformOf } from '../image/platform.ts';
import type { Store } from '../store/store.ts';
import { normalizePath } from '../tar/tar-path.ts';

const MAX_IMAGES = 1000;
const MAX_LAYERS = 1000;
const MAX_LINKS = 8;

/**
 * Reads the archives of `docker save` and of skopeo's `docker-archive`: a `manifest.json` that
 * names configs and layers. They contain no manifests, so each image gets a new one over the
 * unchanged layers, which must match the config's diff ids.
 */
export class DockerArchiveReader {
  readonly #store: Store;
  readonly #files: ArchiveFiles;

  constructor(store: Store, files: ArchiveFiles) {
    this.#store = store;
    this.#files = files;
  }

  /**
   * Writes the manifests into the store and returns them with their names.
   * @throws ARCHIVE_INVALID, IMAGE_INVALID, DIGEST_MISMATCH
   */
  async images(manifest: Buffer): Promise<readonly ArchiveEntry[]> {
    const images: ArchiveEntry[] = [];
    for (const { config, layers, names } of parseManifest(manifest)) {
      const descriptor = await this.#image(config, layers);
      if (names.length === 0) images.push({ descriptor, name: undefined });
      for (const name of names) images.push({ descriptor, name: fullName(name) });
    }
    return images;
  }

  async #image(configName: string, layerNames: readonly string[]): Promise<Descriptor> {
    const bytes = await this.#config(configName);
    const config = parseImageConfig(bytes);
    const { diff_ids: diffIds } = config.rootfs;
    if (diffIds.length !== layerNames.length)
      throw new LktError(
        'IMAGE_INVALID',
        `${configName} lists ${diffIds.length} layers, but manifest.json ${layerNames.length}`,
      );
    const layers: Descriptor[] = [];
    for (const [at, name] of layerNames.entries())
      layers.push(await this.#layer(name, diffIds[at]));
    const document: ImageManifest = {
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      config: { mediaType: MediaType.ociConfig, ...(await this.#store.writeBytes(bytes)) },
      layers,
    };
    const blob = await this.#store.writeBytes(Buffer.from(canonicalJson(document)));
    return { mediaType: MediaType.ociManifest, ...blob, platform: platformOf(config) };
  }

  async #config(name: string): Promise<Buffer> {
    const path = this.#path(name);
    const json = this.#files.json.get(path);
    const blob = this.#files.blobs.get(path);
    const bytes = json ?? (blob && (await this.#store.readBytes(blob)));
    if (bytes === undefined) throw missing(name);
    const digest = digestFromHex(/([0-9a-f]*)(?:\.json)?$/.exec(name)?.[1] ?? '');
    if (digest !== undefined && !hasDigest(bytes, digest))
      throw new LktError(
        'DIGEST_MISMATCH',
        `${name} in the archive does not match the digest in its name`,
      );
    return bytes;
  }

  async #layer(name: string, diffId: Digest | undefined): Promise<Descriptor> {
    const blob = this.#files.blobs.get(this.#path(name));
    if (blob === undefined) throw missing(name);
    if (blob.digest === diffId) return { mediaType: MediaType.layerTar, ...blob };
    const layer = { mediaType: layerType(compressionOf(await this.#start(blob))), ...blob };
    const algorithm = diffId === undefined ? 'sha256' : digestAlgorithm(diffId);
    if ((await unpackedInfo(this.#store, layer, algorithm)).digest === diffId) return layer;
    throw new LktError(
      'DIGEST_MISMATCH',
      `${name} in the archive does not match the diff id ${String(diffId)} of the config`,
    );
  }

  async #start(blob: { readonly digest: Digest }): Promise<Uint8Array> {
    for await (const chunk of this.#store.read(blob)) return chunk;
    return Buffer.alloc(0);
  }

  /** Returns the path of a file after following links. */
  #path(name: string): RawPath {
    let path = normalizePath(toRaw(name));
    for (let count = 0; path !== undefined && count < MAX_LINKS; count += 1) {
      const next = this.#files.links.get(path);
      if (next === undefined) return path;
      path = next;
    }
    throw missing(name);
  }
}

function layerType(compression: 'gzip' | 'zstd' | undefined): string {
  if (compression === undefined) return MediaType.layerTar;
  return compression === 'gzip' ? MediaType.layerGzip : MediaType.layerZstd;
}

interface SavedImage {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

function parseManifest(bytes: Buffer): readonly SavedImage[] {
  const what = 'invalid manifest.json in the archive';
  return readJson(bytes, imagesFrom, { code: 'ARCHIVE_INVALID', what, isStrict: true });
}

function imagesFrom(value: unknown): readonly SavedImage[] {
  return listOf(value, MAX_IMAGES, 'it').map((item, at) => {
    const { Config, Layers, RepoTags } = objectFrom(item, `[${at}]`);
    return {
      config: textFrom(Config, `[${at}].Config`),
      layers: stringList(Layers, `[${at}].Layers`),
      names: stringList(RepoTags, `[${at}].RepoTags`),
    };
  });
}

/** Parses a list of strings. Go writes an empty list as null. */
function stringList(value: unknown, at: string): readonly string[] {
  return listOf(value ?? [], MAX_LAYERS, at).map((item, i) => textFrom(item, `${at}[${i}]`));
}

function listOf(value: unknown, limit: number, at: string): readonly unknown[] {
  const list = listFrom(value, at);
  if (list.length > limit) throw new Error(`${at} has more than ${limit} items`);
  return list;
}

function missing(name: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the archive has no ${JSON.stringify(name)}`);
}
