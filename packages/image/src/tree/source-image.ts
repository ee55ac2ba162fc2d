import { type Digest, LktError } from '@lkt/core';
import { type Image, loadImage, type Platform, type Store } from '@lkt/oci';
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
}

/** Finds images by digest; each tree is loaded once. */
export class SourceImages {
  readonly #store: Store;
  readonly #cache: ComposeCache;
  readonly #platform: Platform;
  readonly #resolve: (reference: ImageReference) => Promise<Digest>;
  readonly #trees = new Map<Digest, Promise<ImageTree>>();
  readonly #found = new Map<Digest, SourceImage>();

  constructor(
    store: Store,
    cache: ComposeCache,
    platform: Platform,
    resolve: (reference: ImageReference) => Promise<Digest>,
  ) {
    this.#store = store;
    this.#cache = cache;
    this.#platform = platform;
    this.#resolve = resolve;
  }

  /** @throws LktError at the place of the reference: NOT_FOUND, IMAGE_INVALID, DIGEST_MISMATCH */
  async find(reference: ImageReference): Promise<SourceImage> {
    const label = reference.text.replace(/@sha256:.*$/, '');
    try {
      const digest = await this.#resolve(reference);
      const image = await loadImage(this.#store, digest, this.#platform);
      const found: SourceImage = {
        full: reference.full,
        label,
        image,
        tree: async () => this.#tree(label, image),
      };
      if (!this.#found.has(image.descriptor.digest))
        this.#found.set(image.descriptor.digest, found);
      return found;
    } catch (error) {
      if (!(error instanceof LktError) || error.message.startsWith(`${reference.at.file.path}:`))
        throw error;
      throw errorAt(error.code, reference.at, `${label}: ${error.message}`, {
        cause: error,
        ...(error.fix === undefined ? {} : { fix: error.fix }),
      });
    }
  }

  /** The images that were found, each once. */
  get all(): Iterable<SourceImage> {
    return this.#found.values();
  }

  async #tree(label: string, { descriptor, manifest }: Image): Promise<ImageTree> {
    const found = this.#trees.get(descriptor.digest);
    if (found !== undefined) return found;
    const tree = loadTree(this.#store, this.#cache, label, descriptor.digest, manifest.layers);
    this.#trees.set(descriptor.digest, tree);
    return tree;
  }
}
