import { availableParallelism } from 'node:os';
import type { Engine } from '@lkt/build';
import { type Digest, type Reporter, sourceError } from '@lkt/core';
import { type Descriptor, parseReference, type Platform, type Store } from '@lkt/oci';
import type { GivenArg } from './build-args.ts';
import { buildPackage, type PackageBuild } from './build-package.ts';
import type { FindMirror } from './debian-package.ts';
import { buildOrder } from './graph.ts';
import { checkOther, checkPin, type ReferenceProblem, storeName } from './pins.ts';
import { platformsOf } from './platforms.ts';
import { type ImageUse, readRecipe, type Recipe } from './recipe.ts';
import { Slots } from './slots.ts';
import type { SourceHash } from './source-hash.ts';
import { readSources, type Sources } from './sources.ts';
import { renderTag } from './tag.ts';
import type { Package, Workspace } from './workspace.ts';

export interface BuildOptions {
  readonly store: Store;
  readonly engine: Engine;
  readonly mirror: FindMirror;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** Build the targets although they have been built. */
  readonly force?: boolean;
  /** Do every step of the targets anew, if they are built. */
  readonly noCache?: boolean;
  /** `force` and `noCache` are also for what the targets use. */
  readonly deps?: boolean;
  /** For the targets; those that a Dockerfile does not declare are not used. */
  readonly buildArgs?: readonly GivenArg[];
  /** Default: linux/amd64. A package is built for those of them that its `arches` has. */
  readonly platforms?: readonly Platform[];
  /** Packages built at once, which share the processors; default: as many as there are processors. */
  readonly jobs?: number;
}

/** A package with the image that its sources give. */
export interface BuiltPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  /** Of the index, which is what a pin names. */
  readonly index: Descriptor;
  /** Full names under which the store has it. */
  readonly references: readonly string[];
  /** What its tags end in beside the hash: not empty when arguments were given that are not in build.yml. */
  readonly tagSuffix: string;
  /** Whether all of it had been built before. */
  readonly cached: boolean;
}

export interface BuildReport {
  /** Targets and what they need, each after what it needs. */
  readonly packages: readonly BuiltPackage[];
}

/**
 * Builds packages and, before them, the packages of the workspace that they use.
 *
 * Every image a Dockerfile uses must be pinned by digest, and a pin of a package of the workspace must be what that
 * package's sources give. What has been built before is not built again.
 * @throws LktError PIN_MISSING, PIN_STALE, NOT_FOUND at the place in the Dockerfile; CONFIG_INVALID for a cycle; what
 * the engine throws
 */
export async function buildPackages(
  workspace: Workspace,
  targets: readonly Package[],
  options: BuildOptions,
): Promise<BuildReport> {
  const build = await Build.start(workspace, targets, options);
  return { packages: await build.all() };
}

/**
 * Called for each package before it is built and after all it uses has been; may change its Dockerfile.
 * @returns whether it has
 */
export type BeforeBuild = (
  item: Package,
  recipe: Recipe,
  built: ReadonlyMap<Package, BuiltPackage>,
) => Promise<boolean>;

/** One run over the package graph. */
export class Build {
  readonly workspace: Workspace;
  /** Targets and what they need, each after what it needs. */
  readonly order: readonly Package[];
  readonly #named: ReadonlySet<Package>;
  readonly #targets: ReadonlySet<Package>;
  #sources: Sources;
  readonly #before: BeforeBuild | undefined;
  readonly #options: BuildOptions;
  readonly #slots: Slots;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #built = new Map<Package, Promise<BuiltPackage>>();

  private constructor(
    workspace: Workspace,
    order: readonly Package[],
    targets: readonly Package[],
    sources: Sources,
    options: BuildOptions,
    before: BeforeBuild | undefined,
  ) {
    this.workspace = workspace;
    this.#before = before;
    this.order = order;
    this.#named = new Set(targets);
    this.#targets = options.deps === true ? new Set(order) : this.#named;
    this.#sources = sources;
    this.#options = options;
    this.#slots = new Slots(options.jobs ?? availableParallelism());
    this.#signal = AbortSignal.any(
      options.signal === undefined ? [this.#stop.signal] : [this.#stop.signal, options.signal],
    );
  }

  static async start(
    workspace: Workspace,
    targets: readonly Package[],
    options: BuildOptions,
    before?: BeforeBuild,
  ): Promise<Build> {
    const sources = await readSources(workspace, workspace.packages.values(), {
      signal: options.signal,
    });
    const named = new Set(targets);
    const unused = new Set((options.buildArgs ?? []).map(({ name }) => name));
    const needs = async (item: Package): Promise<readonly Package[]> => {
      const recipe = await readRecipe(
        workspace,
        item,
        platformsOf(item, options.platforms),
        sources.hash,
        named.has(item) ? options.buildArgs : [],
      );
      for (const name of recipe?.given ?? []) unused.delete(name);
      return (recipe?.uses ?? []).flatMap((use) => use.package ?? []);
    };
    const order = await buildOrder(targets, needs, (item) => item.name);
    for (const name of unused) {
      // A name with % stands for several.
      if (name.includes('%')) continue;
      const text = `no Dockerfile of what is built has ARG ${name}`;
      options.reporter.emit({ kind: 'warning', text });
    }
    return new Build(workspace, order, targets, sources, options, before);
  }

  /** @throws the first error; what else was going on is ended first */
  async all(): Promise<readonly BuiltPackage[]> {
    let first: { error: unknown } | undefined;
    const results = await Promise.allSettled(
      this.order.map((item) =>
        this.built(item).catch((error: unknown) => {
          first ??= { error };
          this.#stop.abort(error);
          throw error;
        }),
      ),
    );
    if (first !== undefined) throw first.error;
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }

  /** Builds a package once, after what it needs. */
  built(item: Package): Promise<BuiltPackage> {
    let promise = this.#built.get(item);
    if (promise === undefined) {
      promise = this.#build(item);
      this.#built.set(item, promise);
    }
    return promise;
  }

  async #build(item: Package): Promise<BuiltPackage> {
    refuseDepends(item);
    const platforms = platformsOf(item, this.#options.platforms);
    const read = (): Promise<Recipe | undefined> =>
      readRecipe(
        this.workspace,
        item,
        platforms,
        this.#sources.hash,
        this.#named.has(item) ? this.#options.buildArgs : [],
      );
    let recipe = await read();
    const used = await this.#builtUses(recipe);
    if (recipe !== undefined && (await this.#before?.(item, recipe, used)) === true) {
      this.#sources = await readSources(this.workspace, this.workspace.packages.values(), {
        signal: this.#signal,
      });
      recipe = await read();
    }
    const bases = await this.#bases(recipe, used);
    return this.#slots.run(() => this.#report(item, { platforms, recipe, bases }));
  }

  async #builtUses(recipe: Recipe | undefined): Promise<ReadonlyMap<Package, BuiltPackage>> {
    const items = new Set((recipe?.uses ?? []).flatMap((use) => use.package ?? []));
    return new Map(
      await Promise.all([...items].map(async (item) => [item, await this.built(item)] as const)),
    );
  }

  /** The images that a Dockerfile uses, checked to be in the store. */
  async #bases(
    recipe: Recipe | undefined,
    used: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<ReadonlyMap<string, Digest>> {
    const bases = new Map<string, Digest>();
    for (const use of recipe?.uses ?? []) {
      const built = use.package && used.get(use.package);
      const problem = await this.#problem(use, built);
      if (problem !== undefined && recipe !== undefined) {
        const { code, message, fix } = problem;
        const { position, length } = use;
        throw sourceError(code, recipe.dockerfile.file, position, message, { length, fix });
      }
      const digest = built?.index.digest ?? use.parsed.digest;
      if (digest !== undefined) bases.set(use.text, digest);
    }
    return bases;
  }

  async #problem(
    use: ImageUse,
    built: BuiltPackage | undefined,
  ): Promise<ReferenceProblem | undefined> {
    if (built === undefined) return checkOther(use.parsed, this.#options.store);
    return use.calculated ? undefined : checkPin(use.parsed, built);
  }

  async #report(
    item: Package,
    inputs: Pick<PackageBuild, 'platforms' | 'recipe' | 'bases'>,
  ): Promise<BuiltPackage> {
    this.#signal.throwIfAborted();
    const { store, reporter, force, noCache } = this.#options;
    const tools = {
      ...this.#options,
      signal: this.#signal,
      cpus: () => Math.max(1, Math.floor(availableParallelism() / this.#slots.taken)),
    };
    const sources = this.#sources;
    const id = `package ${item.name}`;
    reporter.emit({ kind: 'start', id, title: item.name });
    try {
      const isTarget = this.#targets.has(item);
      const build = {
        ...inputs,
        item,
        force: isTarget && force === true,
        noCache: isTarget && noCache === true,
      };
      const { index, cached } = await buildPackage(this.workspace, sources, build, tools);
      const hash = sources.hash(item);
      const tagSuffix = inputs.recipe?.tagSuffix ?? '';
      const references = await tagPackage(store, item, hash, index, tagSuffix);
      reporter.emit({ kind: 'done', id, cached });
      return { item, hash, index, references, tagSuffix, cached };
    } catch (error) {
      reporter.emit({ kind: 'failed', id });
      throw error;
    }
  }
}

/**
 * Names the index in the store by the package's tag, and by the tag it will have once its sources are committed, which
 * is the one in pins.
 */
async function tagPackage(
  store: Store,
  item: Package,
  { hash, committed }: SourceHash,
  index: Descriptor,
  suffix: string,
): Promise<readonly string[]> {
  const name = parseReference(item.name);
  const tags = new Set([renderTag(item.tag, hash), renderTag(item.tag, committed ?? hash)]);
  const references = [...tags].map((tag) => storeName(name, `${tag}${suffix}`));
  for (const reference of references) {
    const present = await store.resolve(reference);
    if (present?.digest !== index.digest) await store.tag(reference, index);
  }
  return references;
}

function refuseDepends({ depends, file }: Package): void {
  if (depends === undefined) return;
  throw sourceError('UNSUPPORTED', file, depends.position, 'lkt does not fetch Docker images', {
    fix: 'name the image in the Dockerfile: COPY --from=NAME@DIGEST',
  });
}
