import { canonicalJson, type Digest, digestAlgorithm, digestHex, LktError } from '@lkt/core';
import { CONTAINERD_NAME } from './archive-names.ts';
import type { Descriptor } from '../image/descriptor.ts';
import { type EntryWithContent, plainFile } from '../tar/entry.ts';
import { flatArchive } from './flat-archive.ts';
import { loadImage } from '../image/image.ts';
import { tagEntry } from '../store/layout-index.ts';
import { isIndex, parseManifestOrIndex } from '../image/manifest.ts';
import { isDistributable, isIndexType, isManifestType, MediaType } from '../image/media-type.ts';
import { type Platform, platformMatches } from '../image/platform.ts';
import { familiarReference, formatReference, type Reference } from '../image/reference.ts';
import type { Store } from '../store/store.ts';
import { writeTar } from '../tar/tar-writer.ts';

/**
 * The format of an exported image. `oci`: an OCI image layout. `docker`: a layout of one platform
 * with the `manifest.json` that `docker load` reads. `filesystem`: the files of an image of one
 * platform, without metadata.
 */
export type ArchiveFormat = 'docker' | 'filesystem' | 'oci';

/** Options of an export. */
export interface ExportOptions {
  /** The name of the image in the archive. */
  readonly reference: Reference;
  readonly format: ArchiveFormat;
  /** Platforms to include; default: all in the store. `docker` and `filesystem` take one. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Include the referrers of the images: SBOMs, provenance, signatures. */
  readonly referrers?: boolean;
}

/** Options of a layout, in which an image needs no name. */
export type LayoutOptions = Partial<Omit<ExportOptions, 'format'>>;

const MAX_DEPTH = 3;

/**
 * Returns an image of the store as a tar archive. Equal images yield equal archives. Digests are
 * preserved, even that of an index of which only some images are included.
 * @throws NOT_FOUND before the first byte if the store has no image for the platforms;
 * DIGEST_MISMATCH while reading; USAGE_INVALID for several platforms in a format that takes one
 * @example
 * ```ts
 * const archive = await exportImage(store, descriptor, { reference, format: 'oci' });
 * await writeFile('image.tar', archive);
 * ```
 */
export async function exportImage(
  store: Store,
  descriptor: Descriptor,
  options: ExportOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const { format, reference, platforms } = options;
  if (format === 'oci') return writeTar(await imageLayout(store, descriptor, options));
  const [platform = { os: 'linux', architecture: 'amd64' }, ...more] = platforms ?? [];
  if (more.length > 0)
    throw new LktError('USAGE_INVALID', `an archive of format ${format} holds one platform`, {
      fix: 'choose one platform, or write an OCI archive',
    });
  const image = await loadImage(store, descriptor.digest, platform);
  if (format === 'filesystem') return flatArchive(store, image);
  const contents = new Contents(store);
  await contents.add(image.descriptor, undefined, 0);
  if (options.referrers === true) await contents.addReferrers();
  const { config, layers } = image.manifest;
  const { tag } = reference;
  const manifest = {
    Config: blobPath(config.digest),
    RepoTags: tag === undefined ? [] : [familiarReference(reference)],
    Layers: layers.map(({ digest }) => blobPath(digest)),
  };
  // Docker reads only this file; readers of layouts find one as well.
  const files = [
    layoutFile(),
    indexFile(reference, image.descriptor, contents.referrers),
    plainFile('manifest.json', canonicalJson([manifest])),
  ];
  return writeTar(entries(files, contents));
}

/**
 * Returns the files of an OCI image layout for an image of the store, parents first. Contents are
 * read on demand.
 * @throws NOT_FOUND if the store has no image for the platforms
 */
export async function imageLayout(
  store: Store,
  descriptor: Descriptor,
  { reference, platforms, referrers }: LayoutOptions,
): Promise<AsyncIterable<EntryWithContent>> {
  const contents = new Contents(store);
  const count = await contents.add(descriptor, platforms, MAX_DEPTH);
  const wanted = platforms?.[0];
  // Throws an error that names the available platforms.
  if (count === 0 && wanted !== undefined) await loadImage(store, descriptor.digest, wanted);
  const name = reference === undefined ? descriptor.digest : familiarReference(reference);
  if (count === 0) throw new LktError('NOT_FOUND', `the store has no image ${name}`);
  if (referrers === true) await contents.addReferrers();
  return entries([layoutFile(), indexFile(reference, descriptor, contents.referrers)], contents);
}

/** The blobs that an archive will contain. */
class Contents {
  readonly store: Store;
  readonly blobs = new Map<Digest, number>();
  readonly referrers: Descriptor[] = [];
  readonly #manifests = new Set<Digest>();
  /** Numbers of images of indexes, by digest and depth. */
  readonly #counts = new Map<string, number>();

  constructor(store: Store) {
    this.store = store;
  }

  /**
   * Adds an image or index.
   * @returns the number of images for the platforms
   */
  async add(
    descriptor: Descriptor,
    platforms: readonly Platform[] | undefined,
    depth: number,
  ): Promise<number> {
    const key = `${descriptor.digest} ${depth}`;
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    const { digest, platform } = descriptor;
    if (
      platform !== undefined &&
      platforms?.some((wanted) => platformMatches(platform, wanted)) === false
    )
      return 0;
    const bytes = await this.store.readBytes({ digest });
    const document = parseManifestOrIndex(bytes);
    let count = 0;
    if (isIndex(document)) {
      if (depth === 0) throw new LktError('IMAGE_INVALID', `${digest} is nested too deeply`);
      for (const item of document.manifests) {
        const isImage = isIndexType(item.mediaType) || isManifestType(item.mediaType);
        // The store may hold only a part of an index.
        if (isImage && (await this.store.has(item.digest)))
          count += await this.add(item, platforms, depth - 1);
      }
      this.#counts.set(key, count);
      if (count === 0) return 0;
    } else {
      count = 1;
      for (const blob of [document.config, ...document.layers]) await this.#blob(blob);
    }
    this.blobs.set(digest, bytes.length);
    this.#manifests.add(digest);
    return count;
  }

  async addReferrers(): Promise<void> {
    // The set grows during iteration: a signature may refer to an SBOM.
    for (const subject of this.#manifests) {
      for (const referrer of await this.store.referrers(subject)) {
        if (this.#manifests.has(referrer.digest)) continue;
        await this.add(referrer, undefined, 0);
        this.referrers.push(referrer);
      }
    }
  }

  async #blob({ digest, size, mediaType }: Descriptor): Promise<void> {
    if (!isDistributable(mediaType) && !(await this.store.has(digest))) return;
    if ((await this.store.size(digest)) !== size)
      throw new LktError('NOT_FOUND', `blob ${digest} is not in the store`, {
        fix: 'pull or build the image again',
      });
    this.blobs.set(digest, size);
  }
}

async function* entries(
  files: readonly EntryWithContent[],
  { store, blobs }: Contents,
): AsyncGenerator<EntryWithContent> {
  yield* files;
  yield directory('blobs');
  const algorithms = new Set([...blobs.keys()].map(digestAlgorithm));
  for (const algorithm of [...algorithms].toSorted()) yield directory(`blobs/${algorithm}`);
  const sorted = [...blobs].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [digest, size] of sorted)
    yield { ...plainFile(blobPath(digest)), size, content: store.read({ digest, size }) };
}

function layoutFile(): EntryWithContent {
  return plainFile('oci-layout', canonicalJson({ imageLayoutVersion: '1.0.0' }));
}

function indexFile(
  reference: Reference | undefined,
  descriptor: Descriptor,
  referrers: readonly Descriptor[],
): EntryWithContent {
  const manifests = [
    named(reference, descriptor),
    ...referrers.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
  ];
  const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
  return plainFile('index.json', canonicalJson(index));
}

function named(reference: Reference | undefined, descriptor: Descriptor): Descriptor {
  if (reference === undefined) return descriptor;
  const name = formatReference(reference);
  return tagEntry(name, {
    ...descriptor,
    annotations: { ...descriptor.annotations, [CONTAINERD_NAME]: name },
  });
}

function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

function directory(path: string): EntryWithContent {
  return { ...plainFile(path), type: 'directory', mode: 0o755 };
}
