import { Context, type ContextFile } from '@lkt/builder/inputs';
import type { BuildContext, BuildRequest } from '@lkt/builder';
import type { Digest, Reporter } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import type { Dockerfile } from '@lkt/dockerfile';
import { formatPlatform, type Platform } from '@lkt/oci';
import { debianKey, dockerfileKey } from './build-key.ts';
import type { BuildTools } from './build-tools.ts';
import { type DebianImage, readLock } from '../debian/debian-package.ts';
import { type ArchivedImage, withArchives } from '../sources/image-archives.ts';
import { labelsOf } from '../build-yml/labels.ts';
import type { Recipe } from './recipe.ts';
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

/** The inputs of an image, with the key of its build. */
export interface KeyedInputs extends ImageInputs {
  readonly key: string;
  /** Digest of the paths, types, modes and contents of the build context; for a Dockerfile. */
  readonly contextDigest?: Digest;
  /** For a package with a `debian` block. */
  readonly lock?: DebianLock;
}

/** An image that is ready to build. */
export interface PlannedImage {
  readonly inputs: KeyedInputs;
  readonly build: DockerfileBuild | DebianBuild;
}

export interface DockerfileBuild {
  readonly kind: 'dockerfile';
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly context: BuildContext;
  /** The build context, with the state of each file when it was read for the key. */
  readonly tree: Context;
}

export interface DebianBuild {
  readonly kind: 'debian';
  readonly image: DebianImage;
  readonly reporter: Reporter;
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
   * @throws CONFIG_INVALID, NOT_FOUND, IO_FAILED
   */
  async plan(inputs: ImageInputs): Promise<PlannedImage> {
    const { recipe } = inputs;
    return recipe === undefined ? this.#planDebian(inputs) : this.#planDockerfile(inputs, recipe);
  }

  async #planDockerfile(inputs: ImageInputs, recipe: Recipe): Promise<PlannedImage> {
    const { platform, bases } = inputs;
    const item = this.#item;
    const { store, signal, env, cache, remoteCache, run } = this.#tools;
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
    const { dockerfile } = recipe;
    const request: BuildRequest = {
      ...run,
      ...given,
      buildArgs: new Map([...recipe.buildArgs, ...recipe.proxyArgs]),
      alwaysGiven: recipe.alwaysGiven,
      name: item.name,
      dockerfile: dockerfile.file,
      noCache: item.disableCache,
      remoteCache,
    };
    const reporter = this.#reporter(platform);
    const context = { store, digests: this.#digests, reporter, signal, env, cache };
    const key = await dockerfileKey({ ...given, tree, dockerfile: dockerfile.file.text }, signal);
    return {
      inputs: { ...inputs, ...key },
      build: { kind: 'dockerfile', dockerfile, request, context, tree },
    };
  }

  async #planDebian(inputs: ImageInputs): Promise<PlannedImage> {
    const { platform } = inputs;
    const item = this.#item;
    const { debian: block } = item;
    if (block === undefined) throw new Error(`${item.name} has neither Dockerfile nor debian`);
    const lock = await readLock(this.#workspace, item, platform);
    const directory = this.#workspace.displayPath(item.dir);
    const image = { lock, block, labels: labelsOf(item), platform, directory };
    return {
      inputs: { ...inputs, key: debianKey(image), lock },
      build: { kind: 'debian', image, reporter: this.#reporter(platform) },
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
