import { silentReporter } from '@lkt/core';
import { UnpackedLayers } from '@lkt/oci';
import { ComposeCache } from './cache.ts';
import type { ComposeOptions } from './compose.ts';
import { imageReferencesOf, type SystemConfig } from './config/config.ts';
import type { ImageReference } from './config/reference.ts';
import { chooseCompression } from './initrd/compressor.ts';
import { layOut } from './initrd/erofs-layout.ts';
import { buildSegments } from './initrd/initrd.ts';
import { INITRD_FORMATS } from './output/formats.ts';
import { pinnedDigest, type Plan, planImage, treesOf } from './plan.ts';
import { someAtOnce } from './some-at-once.ts';
import { isListed } from './tree/image-tree.ts';
import { loadKernel } from './tree/kernel.ts';
import { SourceImages } from './tree/source-image.ts';

type Options = Omit<ComposeOptions, 'outDir' | 'name' | 'provenance' | 'configs' | 'early'>;

/**
 * Composes what is pinned while it is found out whether it is what the packages give: a whole image as far as its
 * segments, or, where something is not pinned or not in the store, what can be unpacked. All that comes of it is named by
 * what it was made from. Whatever fails here fails again when it is asked for.
 */
export class EarlyComposing implements AsyncDisposable {
  /** For whoever composes the image. */
  readonly unpacked: UnpackedLayers;
  readonly #work: Promise<void>;
  readonly #stop = new AbortController();
  #plan: Plan | undefined;

  constructor(config: SystemConfig, options: Options) {
    this.unpacked = new UnpackedLayers(options.store);
    this.#work = this.#begin(config, options);
  }

  /** Waits until everything is done. @returns the image, once, if it was composed as a whole */
  async plan(): Promise<Plan | undefined> {
    await this.#work;
    const plan = this.#plan;
    this.#plan = undefined;
    return plan;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#work;
    await this.unpacked[Symbol.asyncDispose]();
  }

  async #begin(config: SystemConfig, options: Options): Promise<void> {
    try {
      if (imageReferencesOf(config).every(({ reference }) => reference?.digest !== undefined))
        return await this.#compose(config, options);
    } catch {
      // As above.
    }
    await this.#unpack(config, options);
  }

  async #compose(config: SystemConfig, { sbom, signal, ...options }: Options): Promise<void> {
    // What is said in the image of what is in it has to be found first.
    if (sbom?.path !== undefined) return this.#unpack(config, options);
    const plan = await planImage(config, {
      ...options,
      unpacked: this.unpacked,
      isTrusted: true,
      signal: AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]),
    });
    if (plan.kernel !== undefined && INITRD_FORMATS.some((one) => options.format.includes(one))) {
      const compression = await chooseCompression(options.compressor ?? 'zstd', options.level);
      // It is said of each when the initrd is made of them.
      const silent = { ...plan, reporter: silentReporter };
      await buildSegments(await layOut(silent, compression), compression);
    }
    this.#plan = plan;
  }

  async #unpack(
    config: SystemConfig,
    { store, platform, reporter = silentReporter }: Options,
  ): Promise<void> {
    const cache = new ComposeCache(store, reporter);
    const none = new Map<string, never>();
    const images = new SourceImages(store, cache, this.unpacked, platform, async (reference) =>
      pinnedDigest(reference, none),
    );
    const unpack = async (
      reference: ImageReference,
      load: () => Promise<unknown>,
    ): Promise<void> => {
      if (this.#stop.signal.aborted || reference.reference?.digest === undefined) return;
      try {
        const { image } = await images.find(reference);
        if (!(await isListed(cache, image.descriptor.digest))) await load();
      } catch {
        // As above.
      }
    };
    const kernel = config.kernel.image;
    const work = [
      ...(kernel === undefined
        ? []
        : [async () => unpack(kernel, async () => loadKernel(config.kernel, { cache, images }))]),
      ...treesOf(config).map(
        (reference) => async () => unpack(reference, async () => images.prepare(reference)),
      ),
    ];
    await someAtOnce(work, async (run) => run());
  }
}
