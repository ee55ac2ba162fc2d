import { availableParallelism } from 'node:os';
import type { CheckReport } from '@lkt/rebuild';
import { LktError, Semaphore } from '@lkt/core';
import { type Descriptor, type Platform, writeIndex } from '@lkt/oci';
import { fileState, indexPath } from '../action-cache/find-action.ts';
import { reportCached } from '../action-cache/report-cached.ts';
import type { OtherImage } from '../attest/attestations.ts';
import { Attester } from '../attest/attester.ts';
import { CollectionImages } from './collection-images.ts';
import type { BuildOptions, BuildTools } from './build-options.ts';
import { loadArgPackages } from '../build-yml/build-args.ts';
import { type BuiltImage, PackageBuilder } from './build-package.ts';
import { readState } from './build-state.ts';
import type { BuildReport, BuiltPackage } from './built-package.ts';
import { writePackageLayout } from './layouts.ts';
import type { ImageInputs } from './plan-image.ts';
import type { Recipe } from './recipe.ts';
import { otherNames, readHashes, type StoredImage } from './stored-package.ts';
import { imagesForOthers, storeNames, tagPackage } from './tag-package.ts';
import { usedImages } from './used-images.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { DEFAULT_PLATFORMS } from '../workspace/platforms.ts';
import { type Needed, neededPlatforms } from '../workspace/needed-platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/**
 * Builds packages, after the packages of the workspace that they use. Reuses stored results.
 *
 * Every image in a Dockerfile must be pinned by digest. A pin of a package of the workspace must
 * match the image built from its sources.
 * @throws PIN_MISSING, PIN_STALE, NOT_FOUND at the position in the Dockerfile
 * @throws CONFIG_INVALID for a dependency cycle
 * @throws LktError as the engine does
 * @example
 * ```ts
 * const options = { store, engine, mirror, reporter };
 * const { packages } = await buildPackages(workspace, [workspace.get('lkt/sshd')], options);
 * console.log(packages.at(-1)?.index.digest);
 * ```
 */
export async function buildPackages(
  workspace: Workspace,
  targets: readonly Package[],
  options: BuildOptions,
): Promise<BuildReport> {
  const { store, unchanged, buildArgs = [] } = options;
  const index = fileState(indexPath(store.dir));
  // Reports the errors of packages that the targets do not use, too.
  if (unchanged === undefined) workspace.catalog.parseAll();
  const build = await Build.start(workspace, targets, options);
  const packages = await build.all();
  return { packages, inputs: { workspace, store, index, buildArgs, built: packages } };
}

/**
 * Called before a package is built and after its dependencies are. May change the Dockerfile.
 * @returns whether the Dockerfile was changed
 */
export type BeforeBuild = (
  item: Package,
  recipe: Recipe,
  built: ReadonlyMap<Package, BuiltPackage>,
) => Promise<boolean>;

/** One build of packages in dependency order. */
export class Build {
  /** The targets and their dependencies, each after its own dependencies. */
  readonly order: readonly Package[];
  /** Packages of collections whose images are used without a build. */
  readonly taken: ReadonlySet<Package>;
  readonly #platforms: ReadonlyMap<Package, readonly Platform[]>;
  /** The packages to which the options of targets apply. */
  readonly #targets: ReadonlySet<Package>;
  readonly #named: ReadonlySet<Package>;
  readonly #before: BeforeBuild | undefined;
  readonly #writing = new Semaphore(1);
  readonly #stop = new AbortController();
  /** The number of packages whose images are not built yet. */
  #unbuilt: number;
  #closed: Promise<void> | undefined;
  readonly #signal: AbortSignal;
  #tools: BuildTools;
  readonly #attester: Attester;
  readonly #built = new Map<Package, Promise<BuiltPackage>>();
  /** Checks run in the background: dependents do not wait for them. */
  readonly #checked = new Map<Package, Promise<readonly CheckReport[]>>();

  private constructor(
    { order, platforms, taken }: Needed,
    named: ReadonlySet<Package>,
    tools: BuildTools,
    before: BeforeBuild | undefined,
  ) {
    this.order = order;
    this.#unbuilt = order.length;
    this.taken = taken;
    this.#platforms = platforms;
    this.#named = named;
    this.#targets = tools.deps === true ? new Set(order) : named;
    this.#before = before;
    this.#signal = AbortSignal.any([this.#stop.signal, ...(tools.signal ? [tools.signal] : [])]);
    this.#tools = { ...tools, signal: this.#signal };
    this.#attester = new Attester(tools.store, tools.workspace.git, tools.reporter, this.#signal);
  }

  static async start(
    workspace: Workspace,
    targets: readonly Package[],
    options: BuildOptions,
    before?: BeforeBuild,
  ): Promise<Build> {
    const { buildArgs = [], reporter, check = false, jobs = availableParallelism() } = options;
    const isPartial = options.unchanged !== undefined;
    await loadArgPackages(workspace, targets, { given: buildArgs, isPartial });
    const named = new Set(targets);
    const state = await readState(workspace, named, options);
    const tools = {
      ...options,
      ...state,
      workspace,
      collectionImages: new CollectionImages(workspace, state.sources, options),
      builds: new Semaphore(jobs),
      workerPool: check ? new (await import('@lkt/rebuild')).WorkerPool(jobs) : undefined,
    };
    for (const { message } of workspace.catalog.problems) {
      const text = `packages that use this one cannot be built: ${message}`;
      reporter.emit({ kind: 'warning', text });
    }
    const pinned = await takeTargets(named, tools);
    const needed = await neededPlatforms([...named.difference(pinned)], tools);
    for (const item of pinned) needed.taken.add(item);
    for (const name of new Set(buildArgs.map((arg) => arg.name))) {
      // A name with % expands to several arguments.
      if (name.includes('%') || needed.givenArgs.has(name)) continue;
      reporter.emit({ kind: 'warning', text: `no Dockerfile of this build has ARG ${name}` });
    }
    return new Build(needed, named, tools, before);
  }

  /** The source hashes of all packages that were read. */
  get hashes(): ReadonlyMap<Package, SourceHash> {
    return this.#tools.sources.hashes;
  }

  /**
   * Builds all packages, with checks.
   * @throws the first error, after all builds have stopped
   */
  async all(): Promise<readonly BuiltPackage[]> {
    let first: { error: unknown } | undefined;
    const { reporter, unchanged = new Map<string, string>() } = this.#tools;
    const looked = new Set(this.order.map(({ dir }) => dir));
    const others = [...unchanged].filter(([dir]) => !looked.has(dir));
    reporter.emit({ kind: 'total', packages: this.order.length + others.length });
    reportCached(
      reporter,
      others.map(([, name]) => name),
    );
    const results = await Promise.allSettled(
      this.order.map(async (item) => {
        try {
          const built = await this.built(item);
          return { ...built, checks: (await this.#checked.get(item)) ?? [] };
        } catch (error) {
          first ??= { error };
          this.#stop.abort(error);
          throw error;
        }
      }),
    );
    await Promise.all([this.#tools.workerPool?.[Symbol.asyncDispose](), this.#close()]);
    if (first !== undefined) throw first.error;
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }

  /** Ends the processes that wait for further builds. */
  #close(): Promise<void> {
    this.#closed ??= this.#tools.engine.close?.() ?? Promise.resolve();
    return this.#closed;
  }

  /** Builds a package once, after its dependencies. */
  built(item: Package): Promise<BuiltPackage> {
    const promise = this.#built.get(item) ?? this.#build(item);
    this.#built.set(item, promise);
    return promise;
  }

  async #build(item: Package): Promise<BuiltPackage> {
    const platforms = this.#platforms.get(item) ?? [];
    const recipe = await this.#tools.recipes(item, platforms);
    const uses = [...(recipe?.uses ?? []), ...(recipe?.archived ?? [])];
    const items = new Set(uses.flatMap((use) => use.package ?? [])).difference(this.taken);
    const used = new Map(
      await Promise.all([...items].map(async (one) => [one, await this.built(one)] as const)),
    );
    if (recipe !== undefined) await this.#change(item, recipe, used);
    const inputs: ImageInputs[] = [];
    for (const platform of platforms) inputs.push(await this.#inputs(item, platform, used));
    return this.#tools.builds.run(() => this.#report(item, inputs, used));
  }

  /** Lets `before` change the Dockerfile. */
  async #change(
    item: Package,
    recipe: Recipe,
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<void> {
    // The sources are read again afterwards, so no other Dockerfile may be half-written then.
    await this.#writing.run(async () => {
      if ((await this.#before?.(item, recipe, used)) !== true) return;
      const state = await readState(this.#tools.workspace, this.#named, this.#tools);
      this.#tools = { ...this.#tools, ...state };
    });
  }

  async #inputs(
    item: Package,
    platform: Platform,
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<ImageInputs> {
    const recipe = await this.#tools.recipes(item, [platform]);
    if (recipe === undefined) return { platform, recipe, bases: new Map(), archived: [] };
    return { platform, recipe, ...(await usedImages(item, recipe, platform, used, this.#tools)) };
  }

  /** Builds a package and reports its progress. A check runs in the background. */
  async #report(
    item: Package,
    inputs: readonly ImageInputs[],
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<BuiltPackage> {
    this.#signal.throwIfAborted();
    const { reporter, builds, force = false, noCache = false, check = false } = this.#tools;
    const isTarget = this.#targets.has(item);
    const mode = {
      force: isTarget && force,
      noCache: isTarget && noCache,
      check: isTarget && check,
    };
    const id = `package ${item.name}`;
    reporter.emit({ kind: 'start', id, title: item.name });
    const failed = (error: unknown): never => {
      reporter.emit({ kind: 'failed', id, ...(this.#signal.aborted && { stopped: true }) });
      throw error;
    };
    const builder = new PackageBuilder(item, mode, this.#tools, inputs.length > 1);
    const images: BuiltImage[] = [];
    const build = async (): Promise<BuiltPackage> => {
      for (const one of inputs) images.push(await builder.build(one));
      this.#unbuilt -= 1;
      // While the last package is described.
      if (this.#unbuilt === 0 && !check) void this.#close();
      return this.#store(item, builder, images, used);
    };
    const built = await build().catch(failed);
    const done = (): void => reporter.emit({ kind: 'done', id, cached: built.cached });
    if (!mode.check) {
      done();
      return built;
    }
    const checked = builds.run(async () => {
      const reports: CheckReport[] = [];
      for (const image of images) {
        this.#signal.throwIfAborted();
        reports.push(await builder.check(image));
      }
      done();
      return reports;
    });
    this.#checked.set(item, checked.catch(failed));
    return built;
  }

  /** Tags, attests and exports the built images of a package. */
  async #store(
    item: Package,
    builder: PackageBuilder,
    builtImages: readonly BuiltImage[],
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<BuiltPackage> {
    const { sources, store, naming, layouts, attest = true } = this.#tools;
    const hash = sources.hash(item);
    const keyed = builtImages.map(({ image }) => image);
    const images = keyed.map(({ descriptor }) => descriptor);
    const tagSuffix = keyed[0]?.recipe?.tagSuffix ?? '';
    const own = this.#named.has(item) ? naming : undefined;
    const references = storeNames(item, hash, tagSuffix, own);
    const others: OtherImage[] = [];
    const read: StoredImage[] = builtImages.map(({ paths, image: { recipe } }) => ({
      paths,
      recipe,
    }));
    for (const image of await imagesForOthers(store, item, references.at(-1) ?? '', images)) {
      const stored = await this.#findCurrent(item, image, builder, used);
      if (stored === undefined) continue;
      others.push(image);
      read.push(stored);
    }
    const tagged = await tagPackage(store, item, references, [...images, ...others]);
    const index = others.length === 0 ? tagged : await writeIndex(store, images);
    const taken = [...this.taken].map(({ name }) => name).toSorted();
    const work = { item, hash, images: keyed, others, index: tagged, taken };
    const attested = attest ? await this.#attester.attest(work) : undefined;
    if (layouts !== undefined && this.#targets.has(item))
      await writePackageLayout(store, layouts, item, { index, images: keyed });
    return {
      item,
      hash,
      hashes: await readHashes(item, this.#tools),
      uses: [...used.keys()],
      index,
      images,
      others,
      references,
      tagSuffix,
      cached: builtImages.every(({ cached }) => cached),
      pulled: builtImages.some(({ pulled }) => pulled),
      attestations: attested?.attestations,
      stored: {
        names: new Map(references.map((name) => [name, tagged.digest])),
        otherNames: otherNames(read, this.taken),
        paths: [
          ...[index, tagged].map(({ digest }) => store.blobPath(digest)),
          ...read.flatMap(({ paths }) => paths),
          ...(attested?.paths ?? []),
        ],
      },
      checks: [],
    };
  }

  /** Returns an image for another platform, if it is the result of the current sources. */
  async #findCurrent(
    item: Package,
    image: Descriptor & { readonly platform: Platform },
    builder: PackageBuilder,
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<StoredImage | undefined> {
    try {
      const inputs = await this.#inputs(item, image.platform, used);
      const found = await builder.findResult(image, inputs);
      return found && { paths: found.paths ?? [], recipe: inputs.recipe };
    } catch (error) {
      // For example, the lock of this platform is missing, so it cannot be built.
      if (error instanceof LktError) return undefined;
      throw error;
    }
  }
}

/** Returns the targets whose pinned images need no build. */
async function takeTargets(
  targets: ReadonlySet<Package>,
  { workspace, collectionImages, pins = [], platforms = DEFAULT_PLATFORMS }: BuildTools,
): Promise<ReadonlySet<Package>> {
  const taken = new Set<Package>();
  for (const reference of pins) {
    const item = workspace.find(reference);
    if (item === undefined || !targets.has(item)) continue;
    if (await collectionImages.has(item, reference, platforms)) taken.add(item);
  }
  return taken;
}
