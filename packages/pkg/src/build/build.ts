import { availableParallelism } from 'node:os';
import type { CheckReport, WorkerPool } from '@lkt/rebuild';
import { type Digest, LktError, Semaphore } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import { buildInputs } from '../action-cache/build-inputs.ts';
import { storeState } from '../action-cache/record-action.ts';
import { Attester } from '../attest/attester.ts';
import { archivedImages } from '../sources/archived-images.ts';
import { basesFor } from './bases.ts';
import { type BeforeBuild, type BuildOptions, otherImages } from './build-options.ts';
import { loadArgPackages } from '../build-yml/build-args.ts';
import { type BuildMode, type BuiltImage, PackageBuilder } from './build-package.ts';
import type { BuildTools } from './build-tools.ts';
import type { BuildReport, BuiltPackage } from './built-package.ts';
import { knownPins } from '../pins/known-pins.ts';
import { writePackageLayout } from './layouts.ts';
import { nameAndAttest } from './name-and-attest.ts';
import { applyNaming } from './naming.ts';
import { type Needed, neededPlatforms } from '../workspace/needed-platforms.ts';
import { type ImageInputs, ImagePlanner } from './plan-image.ts';
import type { Recipe } from './recipe.ts';
import { type Recipes, recipesOf } from './recipes.ts';
import { readSources, type Sources } from '../sources/sources.ts';
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
  const before = storeState(options.store);
  const build = await Build.start(workspace, targets, options);
  const packages = await build.all();
  return { packages, inputs: buildInputs(workspace, packages, options.store, before) };
}

/** One build of packages in dependency order. */
export class Build {
  readonly workspace: Workspace;
  /** The targets and their dependencies, each after its own dependencies. */
  readonly order: readonly Package[];
  readonly #named: ReadonlySet<Package>;
  readonly #targets: ReadonlySet<Package>;
  readonly #platforms: ReadonlyMap<Package, readonly Platform[]>;
  #sources: Sources;
  #recipes: Recipes;
  readonly #before: BeforeBuild | undefined;
  readonly #options: BuildOptions;
  readonly #builds: Semaphore;
  readonly #writing = new Semaphore(1);
  readonly #attester: Attester;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #built = new Map<Package, Promise<BuiltPackage>>();
  /** Checks run in the background: dependents do not wait for them. */
  readonly #checked = new Map<Package, Promise<readonly CheckReport[]>>();
  #workerPool: Promise<WorkerPool> | undefined;

  private constructor(
    workspace: Workspace,
    { order, platforms }: Needed,
    targets: readonly Package[],
    { sources, recipes }: { readonly sources: Sources; readonly recipes: Recipes },
    options: BuildOptions,
    before: BeforeBuild | undefined,
  ) {
    this.workspace = workspace;
    this.#before = before;
    this.order = order;
    this.#platforms = platforms;
    this.#named = new Set(targets);
    this.#targets = options.deps === true ? new Set(order) : this.#named;
    this.#sources = sources;
    this.#recipes = recipes;
    this.#options = options;
    this.#builds = new Semaphore(options.jobs ?? availableParallelism());
    this.#signal = AbortSignal.any(
      options.signal === undefined ? [this.#stop.signal] : [this.#stop.signal, options.signal],
    );
    this.#attester = new Attester(options.store, this.#signal);
  }

  static async start(
    workspace: Workspace,
    targets: readonly Package[],
    options: BuildOptions,
    before?: BeforeBuild,
  ): Promise<Build> {
    await loadArgPackages(workspace, targets, options.buildArgs);
    const sources = await readSources(workspace, workspace.packages.values(), {
      signal: options.signal,
    });
    for (const { message } of workspace.problems) {
      const text = `packages that use this one cannot be built: ${message}`;
      options.reporter.emit({ kind: 'warning', text });
    }
    const named = new Set(targets);
    const unused = new Set((options.buildArgs ?? []).map(({ name }) => name));
    const recipes = recipesOf(workspace, named, sources, options);
    const needed = await neededPlatforms(
      workspace,
      targets,
      options.platforms,
      async (item, platform) => {
        const recipe = await recipes.get(item, [platform]);
        for (const name of recipe?.given ?? []) unused.delete(name);
        return recipe;
      },
    );
    for (const name of unused) {
      // A name with % expands to several arguments.
      if (name.includes('%')) continue;
      const text = `no Dockerfile of this build has ARG ${name}`;
      options.reporter.emit({ kind: 'warning', text });
    }
    return new Build(workspace, needed, targets, { sources, recipes }, options, before);
  }

  /**
   * Builds all packages, with checks.
   * @throws the first error, after all builds have stopped
   */
  async all(): Promise<readonly BuiltPackage[]> {
    let first: { error: unknown } | undefined;
    this.#options.reporter.emit({ kind: 'total', packages: this.order.length });
    const results = await Promise.allSettled(
      this.order.map((item) =>
        this.#builtAndChecked(item).catch((error: unknown) => {
          first ??= { error };
          this.#stop.abort(error);
          throw error;
        }),
      ),
    );
    await (await this.#workerPool)?.[Symbol.asyncDispose]();
    if (first !== undefined) throw first.error;
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }

  /** Builds a package once, after its dependencies. */
  built(item: Package): Promise<BuiltPackage> {
    const promise = this.#built.get(item) ?? this.#build(item);
    this.#built.set(item, promise);
    return promise;
  }

  async #builtAndChecked(item: Package): Promise<BuiltPackage> {
    const built = await this.built(item);
    return { ...built, checks: (await this.#checked.get(item)) ?? [] };
  }

  async #build(item: Package): Promise<BuiltPackage> {
    const platforms = this.#platforms.get(item) ?? [];
    let recipe = await this.#recipes.get(item, platforms);
    const used = await this.#builtUses(recipe);
    const before = this.#before;
    if (recipe !== undefined && before !== undefined) {
      const given = recipe;
      // The sources are read again afterwards, so no other Dockerfile may be half-written then.
      recipe = await this.#writing.run(async () => {
        if (!(await before(item, given, used))) return given;
        this.#sources = await readSources(this.workspace, this.workspace.packages.values(), {
          signal: this.#signal,
        });
        this.#recipes = recipesOf(this.workspace, this.#named, this.#sources, this.#options);
        return this.#recipes.get(item, platforms);
      });
    }
    const inputs: ImageInputs[] = [];
    for (const platform of platforms) inputs.push(await this.#inputs(item, platform, used));
    return this.#builds.run(() => this.#report(item, inputs, used));
  }

  async #inputs(
    item: Package,
    platform: Platform,
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<ImageInputs> {
    const recipe = await this.#recipes.get(item, [platform]);
    const others = otherImages(this.workspace, this.#options);
    const bases =
      recipe === undefined ? new Map<string, Digest>() : await basesFor(recipe, used, others);
    const archived =
      recipe === undefined ? [] : await archivedImages(recipe, platform, used, others);
    return { platform, recipe, bases, archived };
  }

  async #builtUses(recipe: Recipe | undefined): Promise<ReadonlyMap<Package, BuiltPackage>> {
    const uses = [...(recipe?.uses ?? []), ...(recipe?.archived ?? [])];
    const items = new Set(uses.flatMap((use) => use.package ?? []));
    return new Map(
      await Promise.all([...items].map(async (item) => [item, await this.built(item)] as const)),
    );
  }

  async #report(
    item: Package,
    inputs: readonly ImageInputs[],
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<BuiltPackage> {
    this.#signal.throwIfAborted();
    const { reporter, force = false, noCache = false, check = false } = this.#options;
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
    const builder = this.#builder(item, inputs.length > 1);
    const { built, images } = await this.#images(item, builder, inputs, mode, used).catch(failed);
    const done = (): void => reporter.emit({ kind: 'done', id, cached: built.cached });
    if (!mode.check) {
      done();
      return built;
    }
    const checked = this.#builds.run(async () => {
      const reports: CheckReport[] = [];
      for (const image of images) {
        this.#signal.throwIfAborted();
        reports.push(await builder.check(image, mode));
      }
      done();
      return reports;
    });
    this.#checked.set(item, checked.catch(failed));
    return built;
  }

  #builder(item: Package, severalPlatforms: boolean): PackageBuilder {
    const sources = this.#sources;
    const tools: BuildTools = {
      ...this.#options,
      signal: this.#signal,
      others: otherImages(this.workspace, this.#options),
      pins: () =>
        knownPins(this.workspace, item, sources.hash(item), this.#recipes, this.#options.pins),
      workerPool: async () => {
        this.#workerPool ??= import('@lkt/rebuild').then(
          (module) => new module.WorkerPool(this.#builds.limit),
        );
        return this.#workerPool;
      },
      cpus: () => Math.max(1, Math.floor(availableParallelism() / this.#builds.inUse)),
    };
    const planner = new ImagePlanner(this.workspace, item, sources, tools, severalPlatforms);
    return new PackageBuilder(item, planner, tools);
  }

  async #images(
    item: Package,
    builder: PackageBuilder,
    inputs: readonly ImageInputs[],
    mode: BuildMode,
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<{ readonly built: BuiltPackage; readonly images: readonly BuiltImage[] }> {
    const { store } = this.#options;
    const hash = this.#sources.hash(item);
    const builtImages: BuiltImage[] = [];
    for (const one of inputs) builtImages.push(await builder.build(one, mode));
    const made = builtImages.map(({ image }) => image);
    const cached = builtImages.every((image) => image.cached);
    const pulled = builtImages.some((image) => image.pulled);
    const images = made.map(({ descriptor }) => descriptor);
    const tagSuffix = inputs[0]?.recipe?.tagSuffix ?? '';
    const named = await nameAndAttest(
      { item, hash, images: made },
      {
        ...(this.#named.has(item) ? applyNaming(item, hash, this.#options.naming) : { item, hash }),
        suffix: tagSuffix,
        images,
      },
      { store, attester: this.#attester },
      async (image, platform) => {
        const other = await this.#inputs(item, platform, used).catch(ignoreBuildError);
        return other !== undefined && builder.isResult(image, other);
      },
    );
    const { layouts } = this.#options;
    if (layouts !== undefined && this.#targets.has(item))
      await writePackageLayout(store, layouts, item, { index: named.index, images: made });
    const built = { item, hash, images, tagSuffix, cached, pulled, checks: [], ...named };
    return { built, images: builtImages };
  }
}

/** Ignores build errors: a platform that cannot be built has no result. */
function ignoreBuildError(error: unknown): undefined {
  if (!(error instanceof LktError)) throw error;
}
