import type {
  BuildContext,
  BuildRequest,
  CheckReport,
  Engine,
  Limits,
  RemoteStepCache,
  SecretSource,
} from '@lkt/build';
import { changedFile, Context, type ContextFile } from '@lkt/build/inputs';
import { type Digest, LktError, type Reporter } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import { type Descriptor, formatPlatform, type Platform, type Store } from '@lkt/oci';
import type { AttestedImage } from './attest.ts';
import { debianKey, dockerfileKey } from './build-key.ts';
import { rememberedCheck } from './check-results.ts';
import { buildDebianImage, type FindMirror, readLock } from './debian-package.ts';
import { type FoundImage, withArchives } from './image-archives.ts';
import { labelsOf } from './labels.ts';
import { builtElsewhere } from './layouts.ts';
import type { OtherImages } from './other-images.ts';
import { mayUse, pulledPackage } from './pull-package.ts';
import type { Recipe } from './recipe.ts';
import { pulledAs, readResult, writeResult } from './results.ts';
import { secretsFor } from './secrets.ts';
import type { Sources } from './sources.ts';
import { stepReporter } from './step-reporter.ts';
import type { Package, Workspace } from './workspace.ts';

/** What building needs besides the sources. */
export interface BuildTools {
  readonly store: Store;
  readonly engine: Engine;
  readonly mirror: FindMirror;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** What each RUN may use. */
  readonly limits?: Limits;
  /** Steps that other machines have done. */
  readonly cache?: RemoteStepCache;
  /** The same for BuildKit, which has caches of its own. */
  readonly remoteCache?: NonNullable<BuildRequest['remoteCache']>;
  /** Where proxies and certificates are looked up, for ADD of addresses. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What secret mounts may be given, by id. A package gets those that its build.yml names. */
  readonly secrets?: ReadonlyMap<string, SecretSource>;
  /** Sockets of SSH agents, by id. */
  readonly ssh?: ReadonlyMap<string, string>;
  /** What runs the commands, as in `BuildRequest`. */
  readonly executor?: string;
  /** Build nothing. */
  readonly onlyKnown?: boolean;
  readonly builtHere?: boolean;
  readonly pullPackages?: boolean;
  /** Where packages are pulled from, and whether they may be used. */
  readonly others?: OtherImages;
  /** Where layouts of packages are that others have built. */
  readonly layouts?: string | undefined;
  /** What the package is pinned with, for what is taken from there. */
  readonly pins?: () => Promise<ReadonlySet<Digest>>;
  /** As in `BuildContext`. */
  readonly later?: BuildContext['later'];
  /** How many processors a build that starts now may keep busy. */
  readonly cpus?: () => number;
}

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
  /** If it was asked for. */
  readonly check?: CheckReport;
}

/** Builds the images of a package, each for one platform. */
export class PackageBuilder {
  readonly #workspace: Workspace;
  readonly #item: Package;
  readonly #sources: Sources;
  readonly #tools: BuildTools;
  readonly #severalPlatforms: boolean;
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

  /**
   * Builds an image, or finds that it has been built. Processes that want the same one at the same time build it once.
   * A check whose result is known is not made again either.
   */
  async build(inputs: ImageInputs, mode: BuildMode): Promise<BuiltImage> {
    const planned = await this.#plan(inputs, mode.noCache);
    const built = await this.#build(planned, inputs, mode);
    if (!mode.check) return built;
    const { store } = this.#tools;
    const at = { key: planned.key, image: built.image.descriptor.digest };
    const builtAt = built.cached ? undefined : Date.now();
    const check = await rememberedCheck(store, at, mode.force, () =>
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
      ...(contextDigest === undefined ? {} : { contextDigest }),
      ...(lock === undefined ? {} : { lock }),
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
      { timeoutMs: 24 * 3600_000, ...(signal === undefined ? {} : { signal }) },
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
      const { key } = await this.#plan(inputs, false);
      const known = await readResult(this.#tools.store, key, inputs.platform);
      return known?.digest === image.digest;
    } catch (error) {
      // Such as a lock that this platform does not have: then there is nothing that could be built.
      if (error instanceof LktError) return false;
      throw error;
    }
  }

  async #plan(inputs: ImageInputs, noCache: boolean): Promise<PlannedImage> {
    const { platform, recipe, bases } = inputs;
    const item = this.#item;
    if (recipe === undefined) return this.#planDebian(platform);
    const { store, engine, signal, cpus, env, limits, executor, secrets, ssh } = this.#tools;
    const { cache, remoteCache, later } = this.#tools;
    this.#context ??= this.#sources
      .context(item)
      .then((files) => ({ files, tree: new Context(files) }));
    const { files, tree } = await this.#contextWith(await this.#context, inputs.archived);
    const given = {
      context: files,
      buildArgs: recipe.buildArgs,
      labels: labelsOf(item),
      bases,
      network: item.network,
      ...(item.target !== undefined && { target: item.target.stage }),
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
      ...(limits !== undefined && { limits }),
      ...(executor !== undefined && { executor }),
      ...(ssh !== undefined && { ssh }),
      ...(remoteCache !== undefined && { remoteCache }),
    };
    // How many processors are free is known when a build starts, and only a build needs secrets.
    const atStart = (): Partial<BuildRequest> => ({
      secrets: secretsFor(item, recipe.dockerfile, secrets ?? new Map()),
      ...(cpus !== undefined && { cpus: cpus() }),
    });
    const context = {
      store,
      reporter: this.#reporter(platform),
      ...(signal !== undefined && { signal }),
      ...(env !== undefined && { env }),
      ...(cache !== undefined && { cache }),
    };
    return {
      ...(await dockerfileKey({ ...given, tree, dockerfile: file.text }, signal)),
      run: async () => {
        const around = { ...context, ...(later !== undefined && { later }) };
        const descriptor = await engine.build({ ...request, ...atStart() }, around);
        // The image may be of what was there later, which is not what the key says.
        const changed = tree.changed();
        if (changed !== undefined) throw changedFile(changed);
        return descriptor;
      },
      check: async (known, builtAt) => {
        const { checkBuild } = await import('@lkt/build');
        return checkBuild({ ...request, ...atStart(), noCache: item.disableCache }, context, {
          engine,
          known,
          ...(builtAt === undefined ? {} : { builtAt }),
        });
      },
    };
  }

  #reporter(platform: Platform): Reporter {
    const text = this.#severalPlatforms ? formatPlatform(platform) : undefined;
    return stepReporter(this.#tools.reporter, this.#item.name, text);
  }

  async #contextWith(context: BuildTree, archived: readonly FoundImage[]): Promise<BuildTree> {
    const { depends } = this.#item;
    if (depends === undefined || archived.length === 0) return context;
    const { store, signal } = this.#tools;
    const files = await withArchives(store, context.files, depends, archived, signal);
    return { files, tree: new Context(files) };
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
        const { compareImages } = await import('@lkt/build');
        return compareImages(known, await run(), this.#tools);
      },
    };
  }
}

/** The build context. */
interface BuildTree {
  readonly files: readonly ContextFile[];
  readonly tree: Context;
}

/** The key of one image, what it is built from, and how to build it. */
interface PlannedImage {
  readonly key: string;
  readonly contextDigest?: Digest;
  readonly lock?: DebianLock;
  run(): Promise<Descriptor>;
  /** Builds it again and compares. `known`: what it is; `builtAt`: when it was built, if just now. */
  check(known: Descriptor, builtAt: number | undefined): Promise<CheckReport>;
}
