import { changedFile, Context, type ContextFile } from '@lkt/builder/inputs';
import type { CheckReport } from '@lkt/rebuild';
import type { BuildRequest } from '@lkt/builder';
import type { Digest, Reporter } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import { type Descriptor, formatPlatform, type Platform } from '@lkt/oci';
import { debianKey, dockerfileKey } from './build-key.ts';
import type { BuildTools } from './build-tools.ts';
import { buildDebianImage, readLock } from '../debian/debian-package.ts';
import { prefetchBases } from './prefetch-bases.ts';
import { type ArchivedImage, withArchives } from '../sources/image-archives.ts';
import { labelsOf } from '../build-yml/labels.ts';
import type { Recipe } from './recipe.ts';
import { secretsFor } from '../build-yml/secrets.ts';
import type { Sources } from '../sources/sources.ts';
import { stepReporter } from './step-reporter.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** The inputs of an image of a package for one platform. */
export interface ImageInputs {
  readonly platform: Platform;
  /** For this platform; undefined for a package with a `debian` block. */
  readonly recipe: Recipe | undefined;
  /** Digests of base images, keyed by the text of the reference. */
  readonly bases: ReadonlyMap<string, Digest>;
  /** The images to put into the build context. */
  readonly archived: readonly ArchivedImage[];
}

/** An image with its build key and inputs, ready to build. */
export interface PlannedImage {
  readonly key: string;
  readonly contextDigest?: Digest;
  readonly lock?: DebianLock;
  run(): Promise<Descriptor>;
  /**
   * Builds again and compares.
   * @param known the first image
   * @param builtAt time of the first build in milliseconds, if it just ran
   */
  check(known: Descriptor, builtAt: number | undefined): Promise<CheckReport>;
}

/** Plans the images of a package. Reads the build context once. */
export class ImagePlanner {
  readonly #workspace: Workspace;
  readonly #item: Package;
  readonly #sources: Sources;
  readonly #tools: BuildTools;
  readonly #severalPlatforms: boolean;
  readonly #digests = new Map<string, Digest>();
  #context: Promise<BuildTree> | undefined;

  /** @param severalPlatforms whether to name the platform in progress events */
  constructor(
    workspace: Workspace,
    item: Package,
    sources: Sources,
    tools: BuildTools,
    severalPlatforms: boolean,
  ) {
    this.#workspace = workspace;
    this.#item = item;
    this.#sources = sources;
    this.#tools = tools;
    this.#severalPlatforms = severalPlatforms;
  }

  /**
   * Plans the image for one platform.
   * @param noCache whether `run` ignores cached steps
   * @throws CONFIG_INVALID, NOT_FOUND, IO_FAILED
   */
  async plan(inputs: ImageInputs, noCache: boolean): Promise<PlannedImage> {
    const { platform, recipe, bases } = inputs;
    const item = this.#item;
    if (recipe === undefined) return this.#planDebian(platform);
    const { store, engine, signal, cpus, env, limits, executor, secrets, ssh } = this.#tools;
    const { cache, remoteCache, later } = this.#tools;
    this.#context ??= this.#sources.context(item).then((files) => this.#treeOf(files));
    const { files, tree } = await this.#contextWith(await this.#context, inputs.archived);
    const given = {
      context: files,
      buildArgs: recipe.buildArgs,
      labels: labelsOf(item),
      bases,
      network: item.network,
      target: item.target?.stage,
      platform,
    };
    const { file } = recipe.dockerfile;
    const request: BuildRequest = {
      ...given,
      buildArgs: new Map([...recipe.buildArgs, ...recipe.proxyArgs]),
      alwaysGiven: recipe.alwaysGiven,
      name: item.name,
      dockerfile: file,
      noCache: noCache || item.disableCache,
      limits,
      executor,
      ssh,
      remoteCache,
    };
    // The number of free processors is known when a build starts, and only a build needs secrets.
    const atStart = (): Partial<BuildRequest> => ({
      secrets: secretsFor(item, recipe.dockerfile, secrets ?? new Map()),
      cpus: cpus === undefined ? undefined : cpus(),
    });
    const context = {
      store,
      digests: this.#digests,
      reporter: this.#reporter(platform),
      signal,
      env,
      cache,
    };
    return {
      ...(await dockerfileKey({ ...given, tree, dockerfile: file.text }, signal)),
      run: async () => {
        const ahead = prefetchBases(store, bases, platform, context.reporter);
        const around = {
          ...context,
          reporter: ahead.reporter,
          later,
        };
        const descriptor = await engine
          .build({ ...request, ...atStart() }, around)
          .catch((error: unknown) => {
            ahead.stop();
            throw error;
          });
        // A file that changed during the build makes the key wrong.
        const changed = tree.changed();
        if (changed !== undefined) throw changedFile(changed);
        return descriptor;
      },
      check: async (known, builtAt) => {
        const { checkBuild } = await import('@lkt/rebuild');
        const { workerPool, checkEveryStep = false } = this.#tools;
        if (workerPool === undefined) throw new Error('a check needs a worker pool');
        return checkBuild({ ...request, ...atStart(), noCache: item.disableCache }, context, {
          engine,
          workerPool: await workerPool(),
          everyStep: checkEveryStep,
          firstImage: known,
          builtAt,
        });
      },
    };
  }

  async #planDebian(platform: Platform): Promise<PlannedImage> {
    const item = this.#item;
    const { debian: block } = item;
    if (block === undefined) throw new Error(`${item.name} has neither Dockerfile nor debian`);
    const lock = await readLock(this.#workspace, item, platform);
    const directory = this.#workspace.displayPath(item.dir);
    const image = { lock, block, labels: labelsOf(item), platform, directory };
    const tools = { ...this.#tools, reporter: this.#reporter(platform) };
    const run = (): Promise<Descriptor> => buildDebianImage(image, tools);
    return {
      key: debianKey(image),
      lock,
      run,
      check: async (known) => {
        const { compareImages } = await import('@lkt/rebuild');
        return compareImages(known, await run(), this.#tools);
      },
    };
  }

  async #contextWith(context: BuildTree, archived: readonly ArchivedImage[]): Promise<BuildTree> {
    const { depends } = this.#item;
    if (depends === undefined || archived.length === 0) return context;
    const { store, signal } = this.#tools;
    const files = await withArchives(store, context.files, depends, archived, signal);
    return this.#treeOf(files);
  }

  #treeOf(files: readonly ContextFile[]): BuildTree {
    return { files, tree: new Context(files, { memo: this.#digests }) };
  }

  #reporter(platform: Platform): Reporter {
    const text = this.#severalPlatforms ? formatPlatform(platform) : undefined;
    return stepReporter(this.#tools.reporter, this.#item.name, text);
  }
}

/** A build context as list and as tree. */
interface BuildTree {
  readonly files: readonly ContextFile[];
  readonly tree: Context;
}
