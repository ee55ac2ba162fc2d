import type { Digest, Reporter } from '@lkt/core';
import { type Platform, type Store, UnpackedLayers } from '@lkt/oci';
import { ComposeCache } from './cache.ts';
import type { SystemConfig } from './config/config.ts';
import type { ImageReference } from './config/reference.ts';
import { treesOf } from './plan.ts';
import { someAtOnce } from './some-at-once.ts';
import { isListed } from './tree/image-tree.ts';
import { loadKernel } from './tree/kernel.ts';
import { SourceImages } from './tree/source-image.ts';

interface Tools {
  readonly store: Store;
  readonly platform: Platform;
  readonly reporter: Reporter;
}

/**
 * Unpacks the pinned images of a config that the store has, as far as nobody has done so before, while it is found out
 * whether they are what the packages give. All that comes of it is named by their digests. Whatever fails here fails again
 * when it is asked for, with its place.
 */
export class EarlyUnpacking implements AsyncDisposable {
  /** For whoever composes the image. */
  readonly unpacked: UnpackedLayers;
  readonly #work: Promise<void>;
  #isStopped = false;

  constructor(config: SystemConfig, { store, platform, reporter }: Tools) {
    this.unpacked = new UnpackedLayers(store);
    const cache = new ComposeCache(store, reporter);
    const images = new SourceImages(store, cache, this.unpacked, platform, async (reference) =>
      pinOf(reference),
    );
    const unpack = async (
      reference: ImageReference,
      load: () => Promise<unknown>,
    ): Promise<void> => {
      if (this.#isStopped || reference.reference?.digest === undefined) return;
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
    this.#work = someAtOnce(work, async (run) => run()).then(() => undefined);
  }

  /** Waits until everything is unpacked. */
  async settled(): Promise<void> {
    await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#work;
    await this.unpacked[Symbol.asyncDispose]();
  }
}

function pinOf({ text, reference }: ImageReference): Digest {
  if (reference?.digest === undefined) throw new Error(`${text} has no digest`);
  return reference.digest;
}
