import type { CheckReport } from '@lkt/rebuild';
import { LktError } from '@lkt/core';
import { type Descriptor, formatPlatform, type Platform } from '@lkt/oci';
import type { AttestedImage } from '../attest/attester.ts';
import type { BuildTools } from './build-tools.ts';
import { cachedCheck } from './check-results.ts';
import { importFromLayouts } from './layouts.ts';
import { type ImageInputs, ImagePlanner, type PlannedImage } from './plan-image.ts';
import { policyViolation, pullPackage } from './pull-package.ts';
import { pulledAs, readResult, writeResult } from './results.ts';
import type { Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

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
  /** The manifest with its platform, and the inputs of the build. */
  readonly image: AttestedImage;
  readonly cached: boolean;
  readonly pulled: boolean;
  /** Builds again and compares; set if the mode asks for a check. Reuses a stored check. */
  readonly check?: () => Promise<CheckReport>;
}

/** Builds the images of a package, each for one platform. */
export class PackageBuilder {
  readonly #item: Package;
  readonly #tools: BuildTools;
  readonly #planner: ImagePlanner;

  /** @param severalPlatforms whether to name the platform in progress events */
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

  /** Builds an image, or returns its stored result. Concurrent processes build it once. */
  async build(inputs: ImageInputs, mode: BuildMode): Promise<BuiltImage> {
    const planned = await this.#planner.plan(inputs, mode.noCache);
    const built = await this.#build(planned, inputs, mode);
    if (!mode.check) return built;
    const { store, checkEveryStep: everyStep = false } = this.#tools;
    const at = { key: planned.key, image: built.image.descriptor.digest };
    const builtAt = built.cached ? undefined : Date.now();
    const check = async (): Promise<CheckReport> =>
      cachedCheck(store, at, { anew: mode.force, everyStep }, async () =>
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
    // The engine exports cache entries only while it goes through the steps.
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
            : ((await importFromLayouts(item, { key, platform }, this.#tools)) ??
              (await pullPackage(build, this.#tools)));
        if (taken !== undefined) return taken;
        cached = known !== undefined && !force;
        const descriptor = { ...(await planned.run()), platform };
        await writeResult(store, planned.key, descriptor);
        return descriptor;
      },
      // Another process may run a long build. The lock is released when either process ends.
      { timeoutMs: 24 * 3600_000, signal },
    );
    if (known !== undefined && known.digest !== image.digest && item.reproducible) {
      reporter.emit({
        kind: 'warning',
        text: `${item.name} is not reproducible: the same sources built ${known.digest} before, and ${image.digest} now`,
      });
    }
    return { image: { ...made, descriptor: image }, cached, pulled: await this.#isPulled(key) };
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

  async #isPulled(key: string): Promise<boolean> {
    return (await pulledAs(this.#tools.store, key)) !== undefined;
  }

  /** Reports whether the image equals the stored result of a build with these inputs. */
  async isResult(image: Descriptor, inputs: ImageInputs): Promise<boolean> {
    try {
      const { key } = await this.#planner.plan(inputs, false);
      const known = await readResult(this.#tools.store, key, inputs.platform);
      return known?.digest === image.digest;
    } catch (error) {
      // For example, the lock of this platform is missing, so it cannot be built.
      if (error instanceof LktError) return false;
      throw error;
    }
  }
}
