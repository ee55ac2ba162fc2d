import { type Digest, LktError } from '@lkt/core';
import {
  type Archive,
  type Image,
  loadImage,
  type Platform,
  type Store,
  type UnpackedLayers,
} from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import { errorAt } from '../config/fields.ts';
import type { ImageReference } from '../config/reference.ts';
import { type ImageTree, loadTree } from './image-tree.ts';

/** An image that a config names, found in the store. */
export interface SourceImage {
  /** The reference in full. */
  readonly full: string;
  /** For messages: the reference without its digest. */
  readonly label: string;
  readonly image: Image;
  /** Its file system, flattened when it is first asked for. */
  tree(): Promise<ImageTree>;
  /** Its layers, each unpacked once. */
  archives(): readonly Archive[];
}

/** Finds images by digest; each tree is loaded once. */
export class SourceImages {
  readonly #store: Store;
  readonly #cache: ComposeCache;
  readonly #unpacked: UnpackedLayers;
  readonly #platform: Platform;
  readonly #resolve: (reference: ImageReference) => Promise<Digest>;
  readonly #references = new Map<ImageReference, Promise<SourceImage>>();
  readonly #trees = new Map<Digest, Promise<ImageTree>>();
  readonly #found = new Map<Digest, SourceImage>();

  constructor(
    store: Store,
    cache: ComposeCache,
    unpacked: UnpackedLayers,
    platform: Platform,
    resolve: (reference: ImageReference) => Promise<Digest>,
  ) {
    this.#store = store;
    this.#cache = cache;
    this.#unpacked = unpacked;
    this.#platform = platform;
    this.#resolve = resolve;
  }

  /** @throws LktError at the place of the reference: NOT_FOUND, IMAGE_INVALID, DIGEST_MISMATCH */
  async find(reference: ImageReference): Promise<SourceImage> {
    const found = await this.#findOnce(reference);
    const { digest } = found.image.descriptor;
    if (!this.#found.has(digest)) this.#found.set(digest, found);
    return found;
  }

  /** Finds an image and loads its tree, for what asks later: in any order, and several at once. */
  async prepare(reference: ImageReference): Promise<void> {
    await (await this.#findOnce(reference)).tree();
  }

  /** The images that `find` gave, each once, in that order. */
  get all(): Iterable<SourceImage> {
    return this.#found.values();
  }

  async #findOnce(reference: ImageReference): Promise<SourceImage> {
    const known = this.#references.get(reference);
    if (known !== undefined) return known;
    const finding = this.#find(reference);
    this.#references.set(reference, finding);
    return finding;
  }

  async #find(reference: ImageReference): Promise<SourceImage> {
    const label = reference.text.replace(/@sha256:.*$/, '');
    try {
      const digest = await this.#resolve(reference);
      const image = await loadImage(this.#store, digest, this.#platform);
      return {
        full: reference.full,
        label,
        image,
        tree: async () => this.#tree(label, image),
        archives: () => this.#unpacked.archives(image.manifest.layers),
      };
    } catch (error) {
      if (!(error instanceof LktError) || error.message.startsWith(`${reference.at.file.path}:`))
        throw error;
      throw errorAt(error.code, reference.at, `${label}: ${error.message}`, {
        cause: error,
        ...(error.fix === undefined ? {} : { fix: error.fix }),
      });
    }
  }

  async #tree(label: string, { descriptor, manifest }: Image): Promise<ImageTree> {
    const found = this.#trees.get(descriptor.digest);
    if (found !== undefined) return found;
    const tree = loadTree(
      this.#cache,
      label,
      descriptor.digest,
      this.#unpacked.archives(manifest.layers),
    );
    this.#trees.set(descriptor.digest, tree);
    return tree;
  }
}
