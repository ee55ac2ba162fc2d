import { changedFile, Context, type ContextFile } from '@lkt/builder/inputs';
import type { CheckReport } from '@lkt/rebuild';
import type { BuildRequest } from '@lkt/builder';
import type { Digest, Reporter } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import { type Descriptor, formatPlatform, type Platform } from '@lkt/oci';
import { debianKey, dockerfileKey } from './build-key.ts';
import type { BuildTools } from './build-tools.ts';
import { buildDebianImage, readLock } from '../debian/debian-package.ts';
import { describeAhead } from './describe-ahead.ts';
import { type FoundImage, withArchives } from '../sources/image-archives.ts';
import { labelsOf } from '../build-yml/labels.ts';
import type { Recipe } from './recipe.ts';
import { secretsFor } from '../build-yml/secrets.ts';
import type { Sources } from '../sources/sources.ts';
import { stepReporter } from './step-reporter.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** One image of a package. */
export interface ImageInputs {
  readonly platform: Platform;
  /** For this platform; undefined for a package of .debs. */
  readonly recipe: Recipe | undefined;
  /** Images in the store for the references of the recipe, by their text. */
  readonly bases: ReadonlyMap<string, Digest>;
  /** Images that go into the build context. */
  readonly archived: readonly FoundImage[];
}

/** The key of one image, what it is built from, and how to build it. */
export interface PlannedImage {
  readonly key: string;
  readonly contextDigest?: Digest;
  readonly lock?: DebianLock;
  run(): Promise<Descriptor>;
  /** Builds it again and compares. `known`: what it is; `builtAt`: when it was built, if just now. */
  check(known: Descriptor, builtAt: number | undefined): Promise<CheckReport>;
}

/** Finds out what the images of a package are built from. Its build context is read once. */
export class ImagePlanner {
  readonly #workspace: Workspace;
  readonly #item: Package;
  readonly #sources: Sources;
  readonly #tools: BuildTools;
  readonly #severalPlatforms: boolean;
  readonly #digests = new Map<string, Digest>();
  #context: Promise<BuildTree> | undefined;

  /** @param severalPlatforms whether it is built for more than one, which progress then says */
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

  /** @param noCache whether building does every step anew */
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
    // How many processors are free is known when a build starts, and only a build needs secrets.
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
        const ahead = describeAhead(store, bases, platform, context.reporter);
        const around = {
          ...context,
          reporter: ahead.reporter,
          later,
        };
        const descriptor = await engine
          .build({ ...request, ...atStart() }, around)
          .catch((error: unknown) => {
            ahead.giveUp();
            throw error;
          });
        // The image may be of what was there later, which is not what the key says.
        const changed = tree.changed();
        if (changed !== undefined) throw changedFile(changed);
        return descriptor;
      },
      check: async (known, builtAt) => {
        const { checkBuild } = await import('@lkt/rebuild');
        const { workerPool, checkEveryStep = false } = this.#tools;
        if (workerPool === undefined) throw new Error('a check has to be built somewhere');
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

  async #contextWith(context: BuildTree, archived: readonly FoundImage[]): Promise<BuildTree> {
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

/** The build context. */
interface BuildTree {
  readonly files: readonly ContextFile[];
  readonly tree: Context;
}
