import { type Reporter, silentReporter } from '@lkt/core';
import { type Store, UnpackedLayers } from '@lkt/oci';
import { ComposeCache } from './cache.ts';
import type { ImageTree } from './tree/image-tree.ts';

/**
 * The caches that the steps of one build share: files in the store, and unpacked layers and file
 * trees in memory. Entries are keyed by what they are made from, so a step may fill them before
 * another needs them. Disposal aborts what is being made and frees the memory.
 */
export class ImageCaches implements AsyncDisposable {
  /** Aborts on disposal or with the caller's signal. */
  readonly signal: AbortSignal;
  /** Compressed segments of initrds, and file systems. */
  readonly segments: ComposeCache;
  /** Packed contents of single images. */
  readonly contents: ComposeCache;
  readonly layers: UnpackedLayers;
  /** File trees of images, by digest and packing. */
  readonly trees: Map<string, Promise<ImageTree>> = new Map();
  readonly #stop = new AbortController();

  /** @param options `reporter` receives warnings about damaged files */
  constructor(
    store: Store,
    options: { readonly reporter?: Reporter; readonly signal?: AbortSignal | undefined } = {},
  ) {
    const { reporter = silentReporter, signal } = options;
    this.signal = AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]);
    this.segments = new ComposeCache(store, reporter, 'segments', this.signal);
    this.contents = new ComposeCache(store, reporter, 'contents', this.signal);
    this.layers = new UnpackedLayers(store);
  }

  /** Aborts running work. */
  abort(): void {
    this.#stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort();
    this.trees.clear();
    await this.layers[Symbol.asyncDispose]();
  }
}
