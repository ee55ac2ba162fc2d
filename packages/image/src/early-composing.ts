import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { mapConcurrent, type ProgressEvent, type Reporter, silentReporter } from '@lkt/core';
import { UnpackedLayers } from '@lkt/oci';
import { ComposeCache } from './cache.ts';
import type { ComposeOptions } from './compose-options.ts';
import { imageReferencesOf, type SystemConfig } from './config/config.ts';
import type { ImageReference } from './config/reference.ts';
import { chooseCompression } from '@lkt/formats';
import { buildInitrd, type Initrd, packingFor } from './initrd/initrd.ts';
import { bootOutputs } from './output/boot-outputs.ts';
import { INITRD_FORMATS } from './output/formats.ts';
import { StagedOutputs } from './output/write.ts';
import { pinnedDigest, type Plan, planImage, treesOf } from './plan.ts';
import { CONCURRENCY } from './concurrency.ts';
import { isLoaded } from './tree/image-tree.ts';
import { loadKernel } from './tree/kernel.ts';
import type { Packing } from './tree/packed-files.ts';
import { SourceImages } from './tree/source-image.ts';

type Options = Omit<ComposeOptions, 'provenance' | 'configs' | 'early'>;

/** An image that is composed as far as what boots it. */
export interface EarlyImage {
  readonly plan: Plan;
  /** If a format has one. */
  readonly initrd?: Initrd;
}

/**
 * Composes what is pinned while it is found out whether it is what the packages give: a whole image as far as what boots
 * it, or, where something is not pinned or not in the store, what can be unpacked. All that comes of it is named by what it
 * was made from, or has no name yet. Whatever fails here fails again when it is asked for.
 */
export class EarlyComposing implements AsyncDisposable {
  /** For whoever composes the image. */
  readonly unpacked: UnpackedLayers;
  readonly outputs: StagedOutputs;
  readonly #cache: ComposeCache;
  readonly #work: Promise<void>;
  readonly #stop = new AbortController();
  /** Of that, or of the caller. */
  readonly #signal: AbortSignal;
  readonly #reporter: Reporter;
  /** What there is to say of an image that is taken. */
  readonly #events: ProgressEvent[] = [];
  #image: EarlyImage | undefined;

  constructor(config: SystemConfig, options: Options) {
    const { store, outDir: dir, signal } = options;
    this.unpacked = new UnpackedLayers(store);
    this.#reporter = options.reporter ?? silentReporter;
    const signals = [this.#stop.signal, ...(signal === undefined ? [] : [signal])];
    this.#signal = AbortSignal.any(signals);
    this.#cache = new ComposeCache(store, this.#reporter, 'contents', this.#signal);
    const { knownFiles: known } = new ComposeCache(store, this.#reporter, 'segments');
    this.outputs = new StagedOutputs({ dir, known, signal: this.#signal });
    this.#work = this.#begin(config, options);
  }

  /** Waits until everything is done. @returns the image, once, if it was composed as a whole */
  async image(): Promise<EarlyImage | undefined> {
    await this.#work;
    const image = this.#image;
    this.#image = undefined;
    if (image !== undefined) for (const event of this.#events) this.#reporter.emit(event);
    return image && { ...image, plan: { ...image.plan, reporter: this.#reporter } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#work;
    await this.outputs[Symbol.asyncDispose]();
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

  async #compose(config: SystemConfig, { sbom, ...options }: Options): Promise<void> {
    // What is said in the image of what is in it has to be found first.
    if (sbom?.path !== undefined) return this.#unpack(config, options);
    const { format } = options;
    const compression = await chooseCompression(options.compressor ?? 'zstd', options.level);
    const planned = await planImage(config, {
      ...options,
      unpacked: this.unpacked,
      ...packingFor(config, format, compression),
      isTrusted: true,
      signal: this.#signal,
    });
    const reporter: Reporter = { emit: (event) => void this.#events.push(event) };
    const plan = { ...planned, reporter };
    if (plan.kernel === undefined || !INITRD_FORMATS.some((one) => format.includes(one))) {
      this.#image = { plan };
      return;
    }
    const initrd = await buildInitrd(plan, compression);
    this.#image = { plan, initrd };
    for (const output of bootOutputs(plan, options, initrd)) {
      // What may be there already is looked at when all is known: then it counts as written.
      const isNew = !existsSync(join(options.outDir, output.name));
      if (isNew || output.expected === undefined) await this.outputs.write(output, []);
    }
  }

  async #unpack(config: SystemConfig, options: Options): Promise<void> {
    const { store, platform } = options;
    const compression = await chooseCompression(options.compressor ?? 'zstd', options.level);
    const { packing } = packingFor(config, options.format, compression);
    const cache = this.#cache;
    const none = new Map<string, never>();
    const images = new SourceImages(
      store,
      cache,
      this.unpacked,
      platform,
      async (reference) => pinnedDigest(reference, none),
      packing,
    );
    const unpack = async (
      reference: ImageReference,
      load: () => Promise<unknown>,
      packs?: Packing,
    ): Promise<void> => {
      if (this.#stop.signal.aborted || reference.reference?.digest === undefined) return;
      try {
        const { image } = await images.find(reference);
        if (!(await isLoaded(cache, image.descriptor.digest, packs))) await load();
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
        (reference) => async () =>
          unpack(reference, async () => images.prepare(reference), packing),
      ),
    ];
    await mapConcurrent(work, async (run) => run(), { concurrency: CONCURRENCY });
  }
}
