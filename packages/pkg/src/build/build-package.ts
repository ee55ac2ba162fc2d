import type { CheckReport } from '@lkt/rebuild';
import { LktError } from '@lkt/core';
import { type Descriptor, formatPlatform } from '@lkt/oci';
import type { AttestedImage } from '../attest/attestations.ts';
import { buildImage, checkImage } from './build-image.ts';
import type { BuildMode, BuildTools } from './build-options.ts';
import { importFromLayouts } from './layouts.ts';
import {
  type BuildTree,
  type ImageInputs,
  type KeyedInputs,
  planDebian,
  planDockerfile,
  type PlannedImage,
  readBuildTree,
} from './plan-image.ts';
import { knownPins, policyViolation, pullPackage } from './pull-package.ts';
import { type BuildResult, readCheck, readResult, writeCheck, writeResult } from './results.ts';
import { stepReporter } from './step-reporter.ts';
import type { Package } from '../workspace/workspace.ts';

/** The result of building an image for one platform. */
export interface BuiltImage {
  readonly planned: PlannedImage;
  /** The manifest with its platform, and the inputs of the build. */
  readonly image: AttestedImage;
  readonly cached: boolean;
  readonly pulled: boolean;
  /** The files of a stored result. */
  readonly paths: readonly string[];
  /** Time of the build in milliseconds, if it just ran. */
  readonly builtAt: number | undefined;
}

/** Another process may run a long build. Its lock is released when it ends. */
const BUILD_TIMEOUT_MS = 24 * 3600_000;

/** Builds the images of a package, each for one platform. */
export class PackageBuilder {
  readonly #item: Package;
  readonly #mode: BuildMode;
  readonly #tools: BuildTools;
  readonly #severalPlatforms: boolean;
  #tree: Promise<BuildTree> | undefined;

  /** @param severalPlatforms whether to name the platform in progress events */
  constructor(item: Package, mode: BuildMode, tools: BuildTools, severalPlatforms: boolean) {
    this.#item = item;
    this.#mode = mode;
    this.#tools = tools;
    this.#severalPlatforms = severalPlatforms;
  }

  /** Builds an image, or returns its stored result. Concurrent processes build it once. */
  async build(inputs: ImageInputs): Promise<BuiltImage> {
    const item = this.#item;
    const { reporter, onlyKnown = false } = this.#tools;
    const planned = await this.#plan(inputs);
    const known = await this.#known(planned.inputs);
    const isForced = this.#mode.force || this.#isExported(planned);
    if (known !== undefined && !isForced) return builtImage(planned, known, true);
    if (onlyKnown) throw new LktError('NOT_FOUND', `${item.name} has not been built here`);
    const { result, ran } = await this.#findOrBuild(planned, isForced);
    const { digest } = result.image;
    if (known !== undefined && known.image.digest !== digest && item.reproducible) {
      reporter.emit({
        kind: 'warning',
        text: `${item.name} is not reproducible: the same sources built ${known.image.digest} before, and ${digest} now`,
      });
    }
    // An exported build runs the engine although the result is known.
    return builtImage(planned, result, !ran || (known !== undefined && !this.#mode.force));
  }

  /** Builds an image again and compares. Reuses a stored check. */
  async check({ planned, image, builtAt }: BuiltImage): Promise<CheckReport> {
    const { store, checkEveryStep: everyStep = false } = this.#tools;
    const { key, descriptor } = image;
    const known = this.#mode.force
      ? undefined
      : await readCheck(store, key, descriptor.digest, everyStep);
    if (known !== undefined) return known;
    const first = { image: descriptor, builtAt };
    const report = await checkImage(this.#item, planned, this.#tools, first);
    await writeCheck(store, key, report);
    return report;
  }

  /**
   * Returns the stored result of a build with these inputs, or undefined if the image is another.
   */
  async findResult(image: Descriptor, inputs: ImageInputs): Promise<BuildResult | undefined> {
    const { key, platform } = (await this.#plan(inputs)).inputs;
    const known = await readResult(this.#tools.store, key, platform);
    return known?.image.digest === image.digest ? known : undefined;
  }

  async #plan(inputs: ImageInputs): Promise<PlannedImage> {
    const { recipe, platform } = inputs;
    const { sources, reporter } = this.#tools;
    const name = this.#severalPlatforms ? formatPlatform(platform) : undefined;
    const tools = { ...this.#tools, reporter: stepReporter(reporter, this.#item.name, name) };
    if (recipe === undefined) return planDebian(this.#item, inputs, tools);
    this.#tree ??= readBuildTree(this.#item, sources);
    return planDockerfile(this.#item, inputs, recipe, await this.#tree, tools);
  }

  async #findOrBuild(
    planned: PlannedImage,
    isForced: boolean,
  ): Promise<{ readonly result: BuildResult; readonly ran: boolean }> {
    const { key, platform } = planned.inputs;
    const { store, signal } = this.#tools;
    return store.withLock(
      `package ${this.#item.name} ${formatPlatform(platform)}`,
      async () => {
        const found = isForced ? undefined : await this.#find(planned.inputs);
        if (found !== undefined) return { result: found, ran: false };
        const image = await buildImage(this.#item, planned, this.#tools, this.#mode.noCache);
        const result = { image: { ...image, platform }, pin: undefined };
        await writeResult(store, key, result);
        return { result, ran: true };
      },
      { timeoutMs: BUILD_TIMEOUT_MS, signal },
    );
  }

  /** Reports whether the build exports its steps. The engine exports steps only while it builds. */
  #isExported({ build }: PlannedImage): boolean {
    const { cache, remoteCache } = this.#tools;
    const exports = cache?.exports === true || remoteCache?.to !== undefined;
    return build.kind === 'dockerfile' && exports;
  }

  /** Returns the result of another process, or an image from a layout or a registry. */
  async #find(inputs: KeyedInputs): Promise<BuildResult | undefined> {
    const item = this.#item;
    const known = await this.#known(inputs);
    const { layouts, pullPackages = false } = this.#tools;
    if (known !== undefined || (layouts === undefined && !pullPackages)) return known;
    const pins = await knownPins(item, this.#tools);
    return (
      (await importFromLayouts(item, inputs, pins, this.#tools)) ??
      (await pullPackage(item, inputs, pins, this.#tools))
    );
  }

  /** Returns the stored result of a build. Checks a pulled one against the current policies. */
  async #known({ key, platform }: KeyedInputs): Promise<BuildResult | undefined> {
    const { store, builtHere = false, reporter } = this.#tools;
    const found = await readResult(store, key, platform);
    if (found?.pin === undefined) return found;
    if (builtHere) return undefined;
    const refused = await policyViolation(this.#item, found.pin, this.#tools);
    if (refused === undefined) return found;
    const text = `${refused.message}; ${this.#item.name} is built here`;
    reporter.emit({ kind: 'warning', text });
    return undefined;
  }
}

function builtImage(
  planned: PlannedImage,
  { image, pin, paths = [] }: BuildResult,
  cached: boolean,
): BuiltImage {
  return {
    planned,
    image: { ...planned.inputs, descriptor: image },
    cached,
    pulled: pin !== undefined,
    paths,
    builtAt: cached ? undefined : Date.now(),
  };
}
