import type { CheckReport } from '@lkt/rebuild';
import { LktError } from '@lkt/core';
import { type Descriptor, formatPlatform, type Platform } from '@lkt/oci';
import type { AttestedImage } from '../attest/attestations.ts';
import { buildImage, checkImage } from './build-image.ts';
import type { BuildTools } from './build-tools.ts';
import { cachedCheck } from './check-results.ts';
import { importFromLayouts } from './layouts.ts';
import type { ImageInputs, ImagePlanner, PlannedImage } from './plan-image.ts';
import { policyViolation, pullPackage } from './pull-package.ts';
import { pulledAs, readResult, writeResult } from './results.ts';
import type { Package } from '../workspace/workspace.ts';

export interface BuildMode {
  /** Build even if the store has a result. */
  readonly force: boolean;
  /** Ignore cached steps. */
  readonly noCache: boolean;
  /** Compare with a second build. */
  readonly check: boolean;
}

/** The result of building an image for one platform. */
export interface BuiltImage {
  readonly planned: PlannedImage;
  /** The manifest with its platform, and the inputs of the build. */
  readonly image: AttestedImage;
  readonly cached: boolean;
  readonly pulled: boolean;
  /** Time of the build in milliseconds, if it just ran. */
  readonly builtAt: number | undefined;
}

/** Another process may run a long build. Its lock is released when it ends. */
const BUILD_TIMEOUT_MS = 24 * 3600_000;

/** Builds the images of a package, each for one platform. */
export class PackageBuilder {
  readonly #item: Package;
  readonly #planner: ImagePlanner;
  readonly #tools: BuildTools;

  constructor(item: Package, planner: ImagePlanner, tools: BuildTools) {
    this.#item = item;
    this.#planner = planner;
    this.#tools = tools;
  }

  /** Builds an image, or returns its stored result. Concurrent processes build it once. */
  async build(inputs: ImageInputs, mode: BuildMode): Promise<BuiltImage> {
    const item = this.#item;
    const planned = await this.#planner.plan(inputs);
    const { key, platform } = planned.inputs;
    const { store, signal, reporter, onlyKnown = false } = this.#tools;
    const isForced = mode.force || this.#isExported(planned);
    const known = await this.#known(key, platform);
    if (known !== undefined && !isForced) return this.#built(planned, known, true);
    if (onlyKnown) throw new LktError('NOT_FOUND', `${item.name} has not been built here`);
    const name = `package ${item.name} ${formatPlatform(platform)}`;
    const options = { timeoutMs: BUILD_TIMEOUT_MS, signal };
    const { image, ran } = await store.withLock(
      name,
      async () => {
        const found = isForced ? undefined : await this.#find(planned);
        if (found !== undefined) return { image: found, ran: false };
        const built = await buildImage(item, planned, this.#tools, mode.noCache);
        const result = { ...built, platform };
        await writeResult(store, key, result);
        return { image: result, ran: true };
      },
      options,
    );
    if (known !== undefined && known.digest !== image.digest && item.reproducible) {
      reporter.emit({
        kind: 'warning',
        text: `${item.name} is not reproducible: the same sources built ${known.digest} before, and ${image.digest} now`,
      });
    }
    // An exported build runs the engine although the result is known.
    return this.#built(planned, image, !ran || (known !== undefined && !mode.force));
  }

  /** Builds an image again and compares. Reuses a stored check. */
  async check({ planned, image, builtAt }: BuiltImage, mode: BuildMode): Promise<CheckReport> {
    const { store, checkEveryStep: everyStep = false } = this.#tools;
    const { descriptor } = image;
    const at = { key: image.key, image: descriptor.digest };
    return cachedCheck(store, at, { anew: mode.force, everyStep }, async () =>
      checkImage(this.#item, planned, this.#tools, { image: descriptor, builtAt }),
    );
  }

  async #built(planned: PlannedImage, image: Descriptor, cached: boolean): Promise<BuiltImage> {
    return {
      planned,
      image: { ...planned.inputs, descriptor: image },
      cached,
      pulled: (await pulledAs(this.#tools.store, planned.inputs.key)) !== undefined,
      builtAt: cached ? undefined : Date.now(),
    };
  }

  /** Reports whether the build exports its steps. The engine exports steps only while it builds. */
  #isExported({ build }: PlannedImage): boolean {
    const { cache, remoteCache } = this.#tools;
    const exports = cache?.exports === true || remoteCache?.to !== undefined;
    return build.kind === 'dockerfile' && exports;
  }

  /** Returns the image from another process, from a layout or from a registry. */
  async #find({ inputs }: PlannedImage): Promise<Descriptor | undefined> {
    const item = this.#item;
    const { key, platform } = inputs;
    return (
      (await this.#known(key, platform)) ??
      (await importFromLayouts(item, { key, platform }, this.#tools)) ??
      (await pullPackage({ item, ...inputs }, this.#tools))
    );
  }

  /** Returns the stored result of a build. Checks a pulled one against the current policies. */
  async #known(key: string, platform: Platform): Promise<Descriptor | undefined> {
    const { store, builtHere = false, others, reporter } = this.#tools;
    const found = await readResult(store, key, platform);
    const pin = found && (await pulledAs(store, key));
    if (pin === undefined) return found;
    if (builtHere) return undefined;
    const refused = await policyViolation(this.#item, pin, others);
    if (refused === undefined) return found;
    reporter.emit({
      kind: 'warning',
      text: `${refused.message}; ${this.#item.name} is built here`,
    });
    return undefined;
  }

  /** Reports whether the image equals the stored result of a build with these inputs. */
  async isResult(image: Descriptor, inputs: ImageInputs): Promise<boolean> {
    try {
      const { key } = (await this.#planner.plan(inputs)).inputs;
      const known = await readResult(this.#tools.store, key, inputs.platform);
      return known?.digest === image.digest;
    } catch (error) {
      // For example, the lock of this platform is missing, so it cannot be built.
      if (error instanceof LktError) return false;
      throw error;
    }
  }
}
