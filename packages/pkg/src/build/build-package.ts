import type { CheckReport } from '@lkt/rebuild';
import { LktError } from '@lkt/core';
import { type Descriptor, formatPlatform, type Platform } from '@lkt/oci';
import type { AttestedImage } from '../attest/attest.ts';
import type { BuildTools } from './build-tools.ts';
import { rememberedCheck } from './check-results.ts';
import { builtElsewhere } from './layouts.ts';
import { type ImageInputs, ImagePlanner, type PlannedImage } from './plan-image.ts';
import { mayUse, pulledPackage } from './pull-package.ts';
import { pulledAs, readResult, writeResult } from './results.ts';
import type { Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

export interface BuildMode {
  /** Builds although there is a result. */
  readonly force: boolean;
  /** Does every step anew if it is built. */
  readonly noCache: boolean;
  /** Makes sure that a second build gives the same. */
  readonly check: boolean;
}

/** An image for one platform. */
export interface BuiltImage {
  /** The manifest with its platform, the same bytes whether it was built now or before, and what it is made from. */
  readonly image: AttestedImage;
  readonly cached: boolean;
  readonly pulled: boolean;
  /** Makes sure that a second build gives the same, if that was asked for. A result that is known is not made again. */
  readonly check?: () => Promise<CheckReport>;
}

/** Builds the images of a package, each for one platform. */
export class PackageBuilder {
  readonly #item: Package;
  readonly #tools: BuildTools;
  readonly #planner: ImagePlanner;

  /** @param severalPlatforms whether it is built for more than one, which progress then says */
  constructor(
    workspace: Workspace,
    item: Package,
    sources: Sources,
    tools: BuildTools,
    severalPlatforms: boolean,
  ) {
    this.#item = item;
    this.#tools = tools;
    this.#planner = new ImagePlanner(workspace, item, sources, tools, severalPlatforms);
  }

  /** Builds an image, or finds that it has been built. Processes that want the same one at the same time build it once. */
  async build(inputs: ImageInputs, mode: BuildMode): Promise<BuiltImage> {
    const planned = await this.#planner.plan(inputs, mode.noCache);
    const built = await this.#build(planned, inputs, mode);
    if (!mode.check) return built;
    const { store, checkEveryStep: everyStep = false } = this.#tools;
    const at = { key: planned.key, image: built.image.descriptor.digest };
    const builtAt = built.cached ? undefined : Date.now();
    const check = async (): Promise<CheckReport> =>
      rememberedCheck(store, at, { anew: mode.force, everyStep }, async () =>
        planned.check(built.image.descriptor, builtAt),
      );
    return { ...built, check };
  }

  async #build(
    planned: PlannedImage,
    inputs: ImageInputs,
    { force }: BuildMode,
  ): Promise<BuiltImage> {
    const item = this.#item;
    const { platform } = inputs;
    const { store, signal, reporter } = this.#tools;
    const known = await this.#known(planned.key, platform);
    const { key, contextDigest, lock } = planned;
    const made = {
      ...inputs,
      key,
      contextDigest,
      lock,
    };
    const { cache, remoteCache } = this.#tools;
    // What is handed on is known when it has gone through the steps.
    const isExported =
      inputs.recipe !== undefined && (cache?.exports === true || remoteCache?.to !== undefined);
    if (known !== undefined && !force && !isExported)
      return {
        image: { ...made, descriptor: known },
        cached: true,
        pulled: await this.#isPulled(key),
      };
    if (this.#tools.onlyKnown === true)
      throw new LktError('NOT_FOUND', `${item.name} has not been built here`);
    let cached = true;
    const build = { item, key, ...inputs };
    const image = await store.withLock(
      `package ${item.name} ${formatPlatform(platform)}`,
      async () => {
        const meanwhile =
          force || isExported ? undefined : await this.#known(planned.key, platform);
        if (meanwhile !== undefined) return meanwhile;
        const taken =
          force || isExported
            ? undefined
            : ((await builtElsewhere(item, { key, platform }, this.#tools)) ??
              (await pulledPackage(build, this.#tools)));
        if (taken !== undefined) return taken;
        cached = known !== undefined && !force;
        const descriptor = { ...(await planned.run()), platform };
        await writeResult(store, planned.key, descriptor);
        return descriptor;
      },
      // Another process may be at a build that takes long; the wait ends with it, or with this process.
      { timeoutMs: 24 * 3600_000, signal },
    );
    if (known !== undefined && known.digest !== image.digest && item.reproducible) {
      reporter.emit({
        kind: 'warning',
        text: `${item.name} is not reproducible: the same sources gave ${known.digest}, and now ${image.digest}`,
      });
    }
    return { image: { ...made, descriptor: image }, cached, pulled: await this.#isPulled(key) };
  }

  /** What the build gave before. What was pulled is looked at again: policies may be others now. */
  async #known(key: string, platform: Platform): Promise<Descriptor | undefined> {
    const { store, builtHere = false, others, reporter } = this.#tools;
    const found = await readResult(store, key, platform);
    const pin = found && (await pulledAs(store, key));
    if (pin === undefined) return found;
    if (builtHere) return undefined;
    const refused = await mayUse(this.#item, pin, others);
    if (refused === undefined) return found;
    reporter.emit({
      kind: 'warning',
      text: `${refused.message}; ${this.#item.name} is built here`,
    });
    return undefined;
  }

  async #isPulled(key: string): Promise<boolean> {
    return (await pulledAs(this.#tools.store, key)) !== undefined;
  }

  /** Whether building would find that this is the result there is. */
  async isResult(image: Descriptor, inputs: ImageInputs): Promise<boolean> {
    try {
      const { key } = await this.#planner.plan(inputs, false);
      const known = await readResult(this.#tools.store, key, inputs.platform);
      return known?.digest === image.digest;
    } catch (error) {
      // Such as a lock that this platform does not have: then there is nothing that could be built.
      if (error instanceof LktError) return false;
      throw error;
    }
  }
}
