import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { isAbsolute, join, normalize, relative, resolve } from 'node:path';
import { didYouMean, isErrno, LktError, nearest, shellWord } from '@lkt/core';
import { createGit, type Environment, findTop, type Git, isInside } from '@lkt/git';
import { findTrackedDirectories } from '@lkt/git/tracked';
import { familiarReference, parseReference, type Reference } from '@lkt/oci';
import { type PackageSpec, parseBuildYml } from '../build-yml/build-yml.ts';
import { type Collection, withInner } from './collection.ts';
import { nearestWorkspace, workspaceRoot } from './find-workspace.ts';
import { type CollectionOptions, loadCollection } from './load-collection.ts';
import { readOverrides } from './overrides.ts';
import { PackageCatalog } from './package-catalog.ts';
import { BUILD_YML, isOnRequest, ownDirs } from './package-dirs.ts';
import { readWorkspaceFile, type WorkspaceSpec } from './workspace-file.ts';

/** A package of a workspace, or of one of its collections. */
export interface Package extends PackageSpec {
  /** Undefined for a package of the workspace itself. */
  readonly collection?: Collection;
}

/** Options of opening a workspace. */
export interface WorkspaceOptions extends Pick<CollectionOptions, 'collectionDirs' | 'gitDir'> {
  /** The environment that git runs with. */
  readonly env: Environment;
  readonly buildYml?: string;
  /** Directory that paths in messages are relative to; default: the one that is opened. */
  readonly shownFrom?: string;
  /**
   * Read only the packages that `packageAt` returns, unless there are collections. No other is
   * known by name, and several may have one name.
   */
  readonly onlyNamed?: boolean;
  /** Overrides `dockerfile` of packages that `packageAt` returns; relative to the package. */
  readonly dockerfile?: string;
}

/**
 * Opens the workspace that contains `dir`. Does not fail for an invalid build.yml or a duplicate
 * name: see `problems`.
 * @throws GIT_FAILED, TOOL_MISSING
 * @example
 * ```ts
 * const workspace = await openWorkspace('.', { env: process.env });
 * const sshd = await workspace.packageAt('pkg/sshd');
 * ```
 */
export async function openWorkspace(dir: string, options: WorkspaceOptions): Promise<Workspace> {
  const start = await realpath(dir);
  const git = createGit(options.env);
  const gitTop = await findTop(git, start);
  const root = workspaceRoot(start, gitTop);
  const workspace = new Workspace(root, gitTop, { start, openedFrom: resolve(dir) }, git, options);
  await workspace.load();
  return workspace;
}

function hasGit(dir: string): boolean {
  return existsSync(join(dir, '.git'));
}

/**
 * The packages of a checkout: those that lkt.yml names, else the directories with a build.yml that
 * git tracks, those directly under `pkg/`, `tools/` and `kernel/`, and those three themselves. Then
 * directories added by `packageAt`, and the packages of collections.
 */
export class Workspace {
  /**
   * Directory of lkt.yml, else the top of the git work tree. Outside git: the nearest parent
   * directory with packages, else the start.
   */
  readonly root: string;
  /** Top of the git work tree; undefined outside git. */
  readonly gitTop: string | undefined;
  /** The packages that were looked up so far; other members look up what they need. */
  readonly catalog: PackageCatalog;
  readonly git: Git;
  /** File name of package descriptions, normally `build.yml`. */
  readonly buildYml: string;
  /** The directory that the workspace was opened from, without symlinks. */
  readonly start: string;
  /** The absolute path by which it was opened, which may contain symlinks. */
  readonly openedFrom: string;
  /** The content of lkt.yml; undefined without one. */
  readonly spec: WorkspaceSpec | undefined;
  /** By the name that stands for their packages. */
  readonly collections: ReadonlyMap<string, Collection>;
  /** Own packages, by the names of those that they replace. */
  #overrides: ReadonlyMap<string, Package> = new Map();
  readonly #options: WorkspaceOptions;
  readonly #dockerfile: string | undefined;

  constructor(
    root: string,
    gitTop: string | undefined,
    { start, openedFrom }: Pick<Workspace, 'start' | 'openedFrom'>,
    git: Git,
    options: WorkspaceOptions,
  ) {
    const { buildYml = BUILD_YML, dockerfile } = options;
    this.root = root;
    this.gitTop = gitTop;
    this.start = start;
    this.openedFrom = openedFrom;
    this.git = git;
    this.buildYml = buildYml;
    this.#dockerfile = dockerfile;
    this.#options = options;
    const displayPath = (path: string): string => this.displayPath(path);
    const spec = readWorkspaceFile(root, displayPath);
    const isPartial = options.onlyNamed === true && (spec?.collections.size ?? 0) === 0;
    this.spec = spec;
    this.catalog = new PackageCatalog({ root, buildYml, spec, displayPath, isPartial });
    this.collections = this.catalog.collections;
  }

  /** Keyed by `org/image`, sorted; several of one name by `org/image:TAG`, as in build.yml. */
  get packages(): ReadonlyMap<string, Package> {
    this.catalog.parseAll();
    return this.catalog.packages;
  }

  /** Those of `packages`, and others that only their directories name. */
  get known(): Iterable<Package> {
    this.catalog.parseAll();
    return this.catalog.known;
  }

  /**
   * Errors of packages that are not in `packages`. A build that needs one of them fails with its
   * error.
   */
  get problems(): readonly LktError[] {
    this.catalog.parseAll();
    return this.catalog.problems;
  }

  /** The directories of the packages that `all` returns, without parsing them. */
  get allDirs(): readonly string[] {
    return this.catalog.ownDirs.filter((dir) => !isOnRequest(this.root, dir));
  }

  /**
   * Returns the workspace's own packages, except those that are built only when they are named.
   * @throws LktError the first of `problems`
   */
  all(): readonly Package[] {
    const [problem] = [...this.problems, ...this.catalog.ambiguities];
    if (problem !== undefined) throw problem;
    return [...this.packages.values()].filter(
      ({ dir, collection }) => collection === undefined && !isOnRequest(this.root, dir),
    );
  }

  /**
   * Returns the package in a directory, and adds it if it is outside the usual ones.
   * @param dir relative to the directory that the workspace was opened from
   * @throws NOT_FOUND if the directory or its build.yml is missing
   * @throws CONFIG_INVALID
   */
  async packageAt(dir: string): Promise<Package> {
    const path = resolve(this.start, dir);
    const real = await realpath(path).catch(async (error: unknown) => {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
      const all = this.#options.onlyNamed === true ? await this.#whole() : this;
      throw new LktError('NOT_FOUND', `there is no directory ${dir}`, {
        cause: error,
        fix: all.#nameDirectory(dir),
      });
    });
    const found = this.catalog.at(real) ?? this.#add(real);
    // Elsewhere, the directory selects one of several packages of one name.
    if (found.collection !== undefined || this.catalog.isUsual(real))
      this.catalog.throwIfBroken(found.name);
    const dockerfile = this.#dockerfile;
    if (dockerfile === undefined || dockerfile === found.dockerfile) return found;
    const changed = withDockerfile(found, dockerfile);
    this.catalog.replace(changed);
    return changed;
  }

  /** Returns this workspace with all its packages. */
  async #whole(): Promise<Workspace> {
    // Another package that is invalid is not what is wrong here.
    return openWorkspace(this.start, { ...this.#options, onlyNamed: false }).catch(() => this);
  }

  /** Returns the fix for a wrong directory: that of the package with this name, or another one. */
  #nameDirectory(wrong: string): string {
    const named = this.packages.get(wrong);
    if (named !== undefined) return `name its directory: ${this.displayPath(named.dir)}`;
    const dirs = this.allDirs.map((one) => this.displayPath(one)).toSorted();
    const [first] = dirs;
    const otherwise = first === undefined ? '' : `, such as ${first}`;
    return didYouMean(wrong, dirs, `name the directory of a package${otherwise}`);
  }

  /** Reads the build.yml of a package again, after a change. */
  reread(item: Package): void {
    // The same object, since it is a key of running builds.
    Object.assign(item, parseBuildYml(this.catalog.readFile(item.dir), item.dir, this.spec?.org));
  }

  /**
   * Finds all packages. They are parsed when they are looked up. Outside the usual directories,
   * several packages may have one name, as in LinuxKit's tests: then only a directory identifies
   * one.
   * @throws CONFIG_INVALID for an error in lkt.yml, or a collection that is not there
   */
  async load(): Promise<void> {
    if (this.catalog.isPartial) return;
    const { spec, git } = this;
    const displayPath = (path: string): string => this.displayPath(path);
    const options = { ...this.#options, git, displayPath };
    for (const [name, one] of spec?.collections ?? [])
      this.catalog.addCollection(name, await loadCollection(name, one, this.root, options));
    this.catalog.addDirs(await this.#ownDirs());
    await this.#loadOverrides();
  }

  /** Finds the packages that replace others, here and in collections. */
  async #loadOverrides(): Promise<void> {
    const { root, buildYml, catalog } = this;
    this.#overrides = await readOverrides(this.spec?.overrides ?? new Map(), {
      root,
      buildYml,
      has: (name) => {
        catalog.throwIfBroken(name);
        return catalog.packages.has(name);
      },
      packageAt: async (dir) => this.packageAt(dir),
    });
    for (const one of withInner(this.collections.values()))
      one.overrides = await readOverrides(one.workspaceSpec?.overrides ?? new Map(), {
        root: one.root,
        buildYml: BUILD_YML,
        has: (name) => {
          catalog.parseNamed(name);
          return one.find(parseReference(name)) !== undefined;
        },
        packageAt: async (dir) => {
          const found = catalog.at(dir);
          one.throwIfBrokenAt(dir);
          return found?.collection === one ? found : undefined;
        },
      });
  }

  /** Returns the directories of own packages: of no collection in this repository. */
  async #ownDirs(): Promise<readonly string[]> {
    const { root, buildYml, gitTop } = this;
    const tracked =
      gitTop === undefined ? [] : await findTrackedDirectories(this.git, gitTop, buildYml);
    const absolute = tracked.map((path) => join(gitTop ?? root, path));
    const inside = withInner(this.collections.values())
      .map((one) => one.root)
      .filter((dir) => dir !== root && isInside(dir, root));
    const found = ownDirs(root, buildYml, this.spec?.packages, absolute);
    return found.filter((dir) => !inside.some((collection) => isInside(dir, collection)));
  }

  #add(dir: string): Package {
    const file = this.catalog.readFile(dir);
    const own = parseBuildYml(file, dir, this.spec?.org);
    const other = nearestWorkspace(dir, hasGit);
    // Its lkt.yml has the organization that build.yml lacks.
    if (other !== undefined && other !== this.root && !/^org\s*:/m.test(file.text))
      throw new LktError(
        'CONFIG_INVALID',
        `${this.displayPath(dir)} is in another workspace, ${this.displayPath(other)}`,
        { fix: `run the command there: cd ${shellWord(this.displayPath(other))}` },
      );
    this.catalog.addNamed(own);
    return own;
  }

  /**
   * Returns the package that a reference names, ignoring tag and digest.
   * @param user the package with the reference; in a collection, names are the collection's own
   * @throws CONFIG_INVALID if it may be a package with an error
   */
  find({ domain, path, tag }: Reference, user?: Package): Package | undefined {
    this.catalog.parseNamed(path);
    if (user?.collection !== undefined) return user.collection.find({ domain, path }, user);
    const name = familiarReference({ domain, path });
    this.catalog.throwIfBroken(name);
    const override = this.#overrides.get(name);
    // It may extend the package that it replaces.
    if (override !== undefined && override !== user) return override;
    return this.catalog.named(name, tag);
  }

  /**
   * Returns the name of an image in the registry that serves it: of a package of a collection, in
   * the collection's registry; otherwise the same name.
   */
  locate(reference: Reference): Reference {
    const { domain, path, ...rest } = reference;
    this.catalog.parseNamed(path);
    const item = this.catalog.packages.get(familiarReference({ domain, path }));
    const registry = item?.collection?.spec.registry;
    if (item === undefined || registry === undefined) return reference;
    const located = parseReference(`${registry}/${item.image}`);
    return { domain: located.domain, path: located.path, tag: rest.tag, digest: rest.digest };
  }

  /**
   * Returns the package with this name, `org/image`.
   * @throws NOT_FOUND with the most similar name
   */
  get(name: string): Package {
    this.catalog.throwIfBroken(name);
    const found = this.catalog.named(name);
    if (found !== undefined) return found;
    const near = nearest(name, [...this.packages.keys()]);
    throw new LktError('NOT_FOUND', `no package of this workspace is named ${name}`, {
      fix: near === undefined ? 'use the name in a build.yml: org/image' : `did you mean ${near}?`,
    });
  }

  /**
   * Returns the error for a reference that should name a package here, but names none: its
   * organization is a collection, or that of own packages.
   */
  missingPackage({ domain, path }: Reference): LktError | undefined {
    const name = familiarReference({ domain, path });
    const org = name.slice(0, name.indexOf('/'));
    if (this.find({ domain, path }) !== undefined) return undefined;
    const names = [...this.packages.keys()].filter((one) => one.startsWith(`${org}/`));
    const isCollection = this.collections.has(org);
    if (!isCollection && names.length === 0 && org !== this.spec?.org) return undefined;
    const where = isCollection ? `the collection ${org}` : 'this workspace';
    return new LktError('NOT_FOUND', `${where} has no package ${name}`, {
      fix: didYouMean(name, names, 'correct the name; lkt graph lists the packages'),
    });
  }

  /** Returns a path for messages, relative to the directory that the workspace was opened from. */
  displayPath(path: string): string {
    return relative(this.#options.shownFrom ?? this.start, path) || '.';
  }
}

/** @throws USAGE_INVALID for a package without Dockerfile, or a path outside the package */
function withDockerfile(item: Package, dockerfile: string): Package {
  if (item.debian !== undefined)
    throw new LktError('USAGE_INVALID', `${item.name} is built without a Dockerfile`, {
      fix: 'omit --dockerfile',
    });
  const path = normalize(dockerfile);
  if (isAbsolute(path) || path === '..' || path.startsWith('../'))
    throw new LktError('USAGE_INVALID', `the Dockerfile ${dockerfile} is not in the package`, {
      fix: 'use a path inside the package, relative to its directory',
    });
  return { ...item, dockerfile: path };
}
