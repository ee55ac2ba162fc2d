import { mapConcurrent } from '@lkt/core';
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
import type { Packing } from './tree/packed-files.ts';
import { SourceImages } from './tree/source-image.ts';

type PrefetchOptions = Pick<
  ComposeOptions,
  'format' | 'compressor' | 'level' | 'store' | 'platform'
>;

/**
 * Warms the caches for the pinned images of a config while the workspace is opened and packages are
 * resolved: unpacks and packs their contents. Without it a build gives the same result, later. An
 * error is ignored: it occurs again when the build needs the image.
 */
export class Prefetch implements AsyncDisposable {
  readonly #caches: ImageCaches;
  #work: Promise<void> | undefined;

  constructor(caches: ImageCaches) {
    this.#caches = caches;
  }

  /** Starts prefetching, once. */
  start(config: SystemConfig, options: PrefetchOptions): void {
    this.#work ??= prefetch(config, this.#caches, options).catch(() => undefined);
  }

  /** Waits for all prefetched data, so that nothing is made twice. */
  async finish(): Promise<void> {
    await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#caches.abort();
    await this.#work;
  }
}

async function prefetch(
  config: SystemConfig,
  caches: ImageCaches,
  { store, platform, format, compressor = 'zstd', level }: PrefetchOptions,
): Promise<void> {
  const compression = await chooseCompression(compressor, level);
  const { packing } = packingFor(config, format, compression);
  const { contents } = caches;
  const images = new SourceImages(
    store,
    caches,
    platform,
    async (reference) => pinnedDigest(reference, new Map()),
    packing,
  );
  const load = async (
    reference: ImageReference,
    run: () => Promise<unknown>,
    packs?: Packing,
  ): Promise<void> => {
    if (caches.signal.aborted || reference.reference?.digest === undefined) return;
    try {
      const { digest } = await images.find(reference);
      if (!(await isLoaded(contents, digest, packs))) await run();
    } catch {
      // The build reports it.
    }
  };
  const { image: kernel } = config.kernel;
  const work = treesOf(config).map(
    (reference) => async () => load(reference, async () => images.prepare(reference), packing),
  );
  if (kernel !== undefined)
    work.unshift(async () =>
      load(kernel, async () => loadKernel(config.kernel, { cache: contents, images })),
    );
  await mapConcurrent(work, async (run) => run(), { concurrency: CONCURRENCY });
}
