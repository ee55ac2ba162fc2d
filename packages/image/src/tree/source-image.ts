import { type Digest, LktError } from '@lkt/core';
import {
  type LayerArchive,
  type EntryWithContent,
  formatPlatform,
  type Image,
  imageLayout,
  layersOf,
  loadImage,
  MediaType,
  parseManifestOrIndex,
  type Platform,
  type Store,
} from '@lkt/oci';
import { errorAt } from '../config/fields.ts';
import { type ImageReference, withoutDigest } from '../config/reference.ts';
import type { ImageCaches } from '../image-caches.ts';
import { type ImageTree, loadTree } from './image-tree.ts';
import type { Packing } from './packed-files.ts';

/** An image that a config names, from the store. */
export interface SourceImage {
  /** Full reference. */
  readonly full: string;
  /** Reference without digest, for messages. */
  readonly label: string;
  readonly image: Image;
  /** Of the manifest. */
  readonly digest: Digest;
  /** Returns the flattened file system, with packed contents if packing is on. */
  tree(): Promise<ImageTree>;
  /** Returns the file system without packing, to read a few files. */
  bareTree(): Promise<ImageTree>;
  /** Returns the tree that `tree` or `bareTree` has loaded; undefined without one. */
  loadedTree(): Promise<ImageTree> | undefined;
  /**
   * Returns the layers, each unpacked once.
   * @param options `isOnce`: no second read is expected, so nothing is kept
   */
  archives(options?: { readonly isOnce?: boolean }): readonly LayerArchive[];
}

/** Finds images by digest. Loads each tree once, and packs contents if requested. */
export class SourceImages {
  readonly #store: Store;
  readonly #caches: ImageCaches;
  readonly #platform: Platform;
  readonly #resolve: (reference: ImageReference) => Promise<Digest>;
  readonly #images = new Map<Digest, Promise<Image>>();
  readonly #references = new Map<ImageReference, Promise<SourceImage>>();
  readonly #packing: Packing | undefined;
  readonly #found = new Map<Digest, SourceImage>();

  constructor(
    store: Store,
    caches: ImageCaches,
    platform: Platform,
    resolve: (reference: ImageReference) => Promise<Digest>,
    packing?: Packing,
  ) {
    this.#store = store;
    this.#caches = caches;
    this.#platform = platform;
    this.#resolve = resolve;
    this.#packing = packing;
  }

  /**
   * @throws LktError at the position of the reference: NOT_FOUND, IMAGE_INVALID, DIGEST_MISMATCH
   */
  async find(reference: ImageReference): Promise<SourceImage> {
    const found = await this.#findOnce(reference);
    if (!this.#found.has(found.digest)) this.#found.set(found.digest, found);
    return found;
  }

  /**
   * Returns the bytes of an image's layers.
   * @throws LktError as `find`
   */
  async size(reference: ImageReference): Promise<number> {
    const { image } = await this.#findOnce(reference);
    return image.manifest.layers.reduce((sum, { size }) => sum + size, 0);
  }

  /** Finds an image and loads its tree ahead of use. May run concurrently. */
  async prepare(reference: ImageReference): Promise<void> {
    await (await this.#findOnce(reference)).tree();
  }

  /** The images returned by `find`, each once, in that order. */
  get all(): Iterable<SourceImage> {
    return this.#found.values();
  }

  /**
   * Returns an image as an OCI image layout.
   * @param platforms default: that of the composed image
   * @returns `key` identifies the bytes of the layout
   * @throws LktError as `find`
   */
  async layout(
    reference: ImageReference,
    platforms: readonly Platform[],
  ): Promise<{
    readonly key: string;
    readonly layout: () => Promise<AsyncIterable<EntryWithContent>>;
  }> {
    const wanted = platforms.length === 0 ? [this.#platform] : platforms;
    return this.#located(reference, async (label) => {
      const digest = await this.#resolve(reference);
      for (const platform of wanted) {
        const image = await loadImage(this.#store, digest, platform);
        if (!this.#found.has(image.descriptor.digest))
          this.#found.set(image.descriptor.digest, this.#source(reference, label, image));
      }
      const bytes = await this.#store.readBytes({ digest });
      const document = parseManifestOrIndex(bytes);
      const mediaType =
        document.mediaType ??
        ('manifests' in document ? MediaType.ociIndex : MediaType.ociManifest);
      const name = reference.reference;
      const options = { platforms: wanted, reference: name };
      const descriptor = { mediaType, digest, size: bytes.length };
      return {
        key: ['layout', reference.full, digest, ...wanted.map(formatPlatform)].join(' '),
        layout: async () => imageLayout(this.#store, descriptor, options),
      };
    });
  }

  async #findOnce(reference: ImageReference): Promise<SourceImage> {
    const known = this.#references.get(reference);
    if (known !== undefined) return known;
    const finding = this.#find(reference);
    this.#references.set(reference, finding);
    return finding;
  }

  async #find(reference: ImageReference): Promise<SourceImage> {
    return this.#located(reference, async (label) => {
      const digest = await this.#resolve(reference);
      return this.#source(reference, label, await this.#load(digest));
    });
  }

  #source({ full }: ImageReference, label: string, image: Image): SourceImage {
    return sourceImage({ full, label }, image, this.#caches, this.#packing);
  }

  /** Runs with the reference without digest, and adds the position of the reference to errors. */
  async #located<T>(reference: ImageReference, run: (label: string) => Promise<T>): Promise<T> {
    const label = withoutDigest(reference);
    try {
      return await run(label);
    } catch (error) {
      if (!(error instanceof LktError) || error.message.startsWith(`${reference.at.file.path}:`))
        throw error;
      throw errorAt(error.code, reference.at, `${label}: ${error.message}`, {
        cause: error,
        fix: error.fix,
      });
    }
  }

  /** Loads an image once, even if ten thousand services use it. */
  async #load(digest: Digest): Promise<Image> {
    const known = this.#images.get(digest);
    if (known !== undefined) return known;
    const loading = loadImage(this.#store, digest, this.#platform);
    this.#images.set(digest, loading);
    return loading;
  }
}

/** Returns an image whose tree and layers are in the caches, or will be. */
export function sourceImage(
  { full, label }: Pick<SourceImage, 'full' | 'label'>,
  image: Image,
  { contents, layers, trees }: ImageCaches,
  packing?: Packing,
): SourceImage {
  const { digest } = image.descriptor;
  const keyOf = (by?: Packing): string => `${digest} ${by?.key ?? ''}`;
  const load = async (by?: Packing): Promise<ImageTree> => {
    const key = keyOf(by);
    const found = trees.get(key);
    if (found !== undefined) return found;
    const archives = layers.archives(layersOf(image), { isOnce: by !== undefined });
    const tree = loadTree(contents, { name: label, key: digest, layers: archives }, by);
    trees.set(key, tree);
    // A failure is not cached: it is reported where the tree is needed.
    tree.catch(() => trees.delete(key));
    return tree;
  };
  return {
    full,
    label,
    image,
    digest,
    tree: async () => load(packing),
    bareTree: async () => load(),
    loadedTree: () => trees.get(keyOf(packing)) ?? trees.get(keyOf()),
    archives: (options) => layers.archives(layersOf(image), options),
  };
}
