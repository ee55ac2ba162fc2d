import { type Digest, mapConcurrent, Semaphore, uniqueBy } from '@lkt/core';
import { chooseCompression } from '@lkt/formats';
import { CONCURRENCY } from './concurrency.ts';
import type { ComposeOptions } from './compose-options.ts';
import type { SystemConfig } from './config/config.ts';
import type { ImageReference } from './config/reference.ts';
import type { ImageCaches } from './image-caches.ts';
import { packingFor } from './initrd/initrd.ts';
import { pinnedDigest, treesOf } from './plan.ts';
import { isLoaded } from './tree/image-tree.ts';
import { loadKernel } from './tree/kernel.ts';
import { prepareSbom } from './sbom.ts';
import { SourceImages } from './tree/source-image.ts';

type PrefetchOptions = Pick<
  ComposeOptions,
  'format' | 'compressor' | 'level' | 'store' | 'platform' | 'audit' | 'sbom'
>;

/**
 * Warms the caches for the pinned images of a config while the workspace is opened and packages are
 * resolved or pulled: unpacks and packs their contents, and audits and scans them. Without it a
 * build gives the same result, later. An error is ignored: it occurs again when the build needs the
 * image.
 */
export class Prefetch implements AsyncDisposable {
  readonly #caches: ImageCaches;
  readonly #slots = new Semaphore(CONCURRENCY);
  readonly #work = new Set<Promise<void>>();
  /** Work until the trees of the images are in the caches; a part of `#work`. */
  readonly #loading = new Set<Promise<void>>();
  #images: PrefetchedImages | undefined;

  constructor(caches: ImageCaches) {
    this.#caches = caches;
  }

  /**
   * Starts prefetching the images that the store has, once; the largest first. Returns when other
   * threads unpack that one, so that they work while the caller keeps this one busy.
   */
  async start(config: SystemConfig, options: PrefetchOptions): Promise<void> {
    if (this.#images !== undefined) return;
    this.#images = { config, options };
    const { promise, resolve } = Promise.withResolvers<void>();
    const adding = this.#addAll(config, options, resolve);
    adding.catch(() => resolve());
    this.#track(adding, adding);
    await promise;
  }

  /** Prefetches an image that is in the store now, if the config names it. */
  stored(digest: Digest): void {
    if (this.#images === undefined) return;
    const { config } = this.#images;
    const named = imagesOf(config).find(({ reference }) => reference?.digest === digest);
    if (named !== undefined) this.#add(named);
  }

  /**
   * Waits for the trees of all images, so that none is made twice. Audits and scans may go on;
   * what needs their results waits for them.
   */
  async finish(): Promise<void> {
    while (this.#loading.size > 0) await Promise.all(this.#loading);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#caches.abort();
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /**
   * Adds the largest images first, so that none is left over at the end, or finds the memory taken.
   */
  async #addAll(
    config: SystemConfig,
    { store, platform }: PrefetchOptions,
    onStart: () => void,
  ): Promise<void> {
    const images = new SourceImages(store, this.#caches, platform, ownDigest);
    const pinned = imagesOf(config).filter(({ reference }) => reference?.digest !== undefined);
    const once = uniqueBy(pinned, ({ reference }) => reference?.digest ?? '');
    const sized = once.map(async (reference) => {
      const size = await images.size(reference).catch(() => 0);
      return { reference, size };
    });
    const all = await Promise.all(sized);
    const [largest, ...others] = all.toSorted((a, b) => b.size - a.size);
    if (largest === undefined) onStart();
    else this.#add(largest.reference, onStart);
    for (const { reference } of others) this.#add(reference);
  }

  #add(reference: ImageReference, onStart?: () => void): void {
    if (this.#images === undefined || reference.reference?.digest === undefined) return;
    const { config, options } = this.#images;
    const { promise: loaded, resolve: onLoad } = Promise.withResolvers<void>();
    const events = { onStart, onLoad };
    const load = async (): Promise<void> =>
      prefetch(reference, config, this.#caches, options, events).finally(() => {
        onStart?.();
        onLoad();
      });
    this.#track(this.#slots.run(load), loaded);
  }

  /** @param loading settles once the trees are in the caches */
  #track(task: Promise<void>, loading: Promise<void>): void {
    for (const [set, one] of [
      [this.#work, task],
      [this.#loading, loading],
    ] as const) {
      const work = one.catch(() => undefined).finally(() => set.delete(work));
      set.add(work);
    }
  }
}

function imagesOf(config: SystemConfig): readonly ImageReference[] {
  const { image: kernel } = config.kernel;
  return [...(kernel === undefined ? [] : [kernel]), ...treesOf(config)];
}

interface PrefetchedImages {
  readonly config: SystemConfig;
  readonly options: PrefetchOptions;
}

interface PrefetchEvents {
  /** Called when other threads unpack the image. */
  readonly onStart: (() => void) | undefined;
  /** Called when its tree is in the caches. */
  readonly onLoad: () => void;
}

/** Prefetches an image, unless the caches have all of it. */
async function prefetch(
  reference: ImageReference,
  config: SystemConfig,
  caches: ImageCaches,
  options: PrefetchOptions,
  { onStart, onLoad }: PrefetchEvents,
): Promise<void> {
  const { store, platform, format, compressor = 'zstd', level } = options;
  if (caches.signal.aborted) return;
  const compression = await chooseCompression(compressor, level);
  const { packing } = packingFor(config, format, compression);
  const { contents } = caches;
  const { kernel } = config;
  // A new one for each image, because it remembers which images the store lacked.
  const images = new SourceImages(store, caches, platform, ownDigest, packing);
  const image = await images.find(reference);
  const isKernel = reference === kernel.image;
  if (await isLoaded(contents, image.digest, isKernel ? undefined : packing)) return;
  await using _ = await caches.layers.hold(image.image.manifest.layers);
  onStart?.();
  const steps: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
    async () => {
      if (isKernel) await loadKernel(kernel, { cache: contents, images, packing });
      else await image.tree();
      onLoad();
    },
    async () => options.audit?.prepare(image),
    async (signal) => options.sbom && prepareSbom(store, image, signal),
  ];
  // If the image cannot be loaded, the scan for its SBOM is aborted at once.
  await mapConcurrent(steps, async (run, signal) => run(signal), { signal: caches.signal });
}

async function ownDigest(reference: ImageReference): Promise<Digest> {
  return pinnedDigest(reference, new Map());
}
