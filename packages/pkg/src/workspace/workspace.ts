import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, isAbsolute, join, normalize, relative, resolve } from 'node:path';
import { didYouMean, isErrno, LktError, nearest, type SourceFile } from '@lkt/core';
import { createGit, type Environment, findTop, type Git, isInside } from '@lkt/git';
import { findTrackedDirectories } from '@lkt/git/tracked';
import { familiarReference, parseReference, type Reference } from '@lkt/oci';
import { type PackageSpec, parseBuildYml } from '../build-yml/build-yml.ts';
import { type BrokenPackage, brokenPackage, mayBeNamed } from './broken-package.ts';
import { type Collection, withInner } from './collection.ts';
import { findRoot, nearestWorkspace } from './find-workspace.ts';
import { type CollectionOptions, loadCollection } from './load-collection.ts';
import { readOverrides } from './overrides.ts';
import { BUILD_YML, isOnRequest, isUsual, ownDirs } from './package-dirs.ts';
import { PackageIndex, sameName } from './package-index.ts';
import { readDescription } from './read-description.ts';
import {
  mayContain,
  mayDeclare,
  plainImage,
  UnparsedPackages,
  type Wanted,
} from './unparsed-packages.ts';
import { readWorkspaceFile, WORKSPACE_FILE, type WorkspaceSpec } from './workspace-file.ts';

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
  const own = nearestWorkspace(start, (parent) => parent === gitTop);
  const root = own ?? gitTop ?? findRoot(start);
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
  readonly #index = new PackageIndex();
  readonly #unparsed = new UnparsedPackages();
  readonly git: Git;
  /** File name of package descriptions, normally `build.yml`. */
  readonly buildYml: string;
  /** The directory that the workspace was opened from, without symlinks. */
  readonly start: string;
  /** The absolute path by which it was opened, which may contain symlinks. */
  readonly openedFrom: string;
  /** The content of lkt.yml; undefined without one. */
  readonly spec: WorkspaceSpec | undefined;
  readonly #collections = new Map<string, Collection>();
  /** By the name that stands for their packages. */
  readonly collections: ReadonlyMap<string, Collection> = this.#collections;
  /** Own packages, by the names of those that they replace. */
  #overrides: ReadonlyMap<string, Package> = new Map();
  readonly #options: WorkspaceOptions;
  readonly #dockerfile: string | undefined;
  readonly #broken: BrokenPackage[] = [];

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
    this.spec = readWorkspaceFile(root, (path) => this.displayPath(path));
  }

  /** Keyed by `org/image`, sorted; several of one name by `org/image:TAG`, as in build.yml. */
  get packages(): ReadonlyMap<string, Package> {
    this.parseAll();
    return this.#index.byName;
  }

  get byDir(): ReadonlyMap<string, Package> {
    this.parseAll();
    return this.#index.byDir;
  }

  /**
   * Errors of packages that are not in `packages`. A build that needs one of them fails with its
   * error.
   */
  get problems(): readonly LktError[] {
    this.parseAll();
    return this.knownProblems;
  }

  /** Those of `problems` that were found so far, while packages were looked up. */
  get knownProblems(): readonly LktError[] {
    return this.#broken.map(({ error }) => error);
  }

  /** The packages that were looked up so far, and others whose build.yml mentions their names. */
  get knownPackages(): Iterable<Package> {
    return this.#index.byName.values();
  }

  /** Returns the packages whose build.yml may contain a text without white space, and others. */
  mentioning(text: string): readonly Package[] {
    this.#parse((_, yaml) => mayContain(yaml, text));
    return [...this.#index.byName.values()];
  }

  /** The directories of the workspace's own packages. */
  get ownPackageDirs(): readonly string[] {
    const known = [...this.#index.byDir.values()].filter(
      ({ collection }) => collection === undefined,
    );
    const unparsed = [...this.#unparsed.entries()];
    return [...known.map(({ dir }) => dir), ...unparsed.map(([dir]) => dir)];
  }

  /** The directories of the packages that `all` returns, without parsing them. */
  get allDirs(): readonly string[] {
    return this.ownPackageDirs.filter((dir) => !isOnRequest(this.root, dir));
  }

  /** Each build.yml that is or may be of a package, with its directory. */
  *descriptions(): Generator<readonly [dir: string, file: SourceFile]> {
    for (const { dir, file } of this.#index.byName.values()) yield [dir, file];
    yield* this.unparsedDescriptions();
  }

  /** Those of `descriptions` that no look-up has parsed so far. */
  *unparsedDescriptions(): Generator<readonly [dir: string, file: SourceFile]> {
    for (const files of this.#allUnparsed()) yield* files.entries();
  }

  /**
   * Returns the workspace's own packages, except those that are built only when they are named.
   * @throws LktError the first of `problems`
   */
  all(): readonly Package[] {
    const [problem] = [...this.problems, ...this.#index.ambiguities];
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
    const real = await realpath(path).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
      throw new LktError('NOT_FOUND', `there is no directory ${dir}`, { cause: error });
    });
    this.#parseAt(real);
    const broken = this.#broken.find((one) => one.dir === real);
    if (broken !== undefined) throw broken.error;
    const found = this.#index.byDir.get(real) ?? this.#add(real);
    // Elsewhere, the directory says which of several packages of one name is meant.
    if (found.collection !== undefined || this.#isUsual(real)) this.#throwIfBroken(found.name);
    const dockerfile = this.#dockerfile;
    if (dockerfile === undefined || dockerfile === found.dockerfile) return found;
    const changed = withDockerfile(found, dockerfile);
    this.#index.replace(changed);
    return changed;
  }

  /** Reads the build.yml of a package again, after a change. */
  reread(item: Package): void {
    // The same object, since it is a key of running builds.
    Object.assign(item, parseBuildYml(this.#readFile(item.dir), item.dir, this.spec?.org));
  }

  /**
   * Finds all packages. They are parsed when they are looked up. Outside the usual directories,
   * several packages may have one name, as in LinuxKit's tests: then only a directory tells which
   * is meant.
   * @throws CONFIG_INVALID for an error in lkt.yml, or a collection that is not there
   */
  async load(): Promise<void> {
    if (this.#isPartial) return;
    const { spec, git } = this;
    const displayPath = (path: string): string => this.displayPath(path);
    const options = { ...this.#options, git, displayPath };
    for (const [name, one] of spec?.collections ?? [])
      this.#collections.set(name, await loadCollection(name, one, this.root, options));
    this.#findIn(await this.#ownDirs());
    await this.#loadOverrides();
  }

  /** Finds the packages that replace others, here and in collections. */
  async #loadOverrides(): Promise<void> {
    const { root, buildYml } = this;
    this.#overrides = await readOverrides(this.spec?.overrides ?? new Map(), {
      root,
      buildYml,
      has: (name) => {
        this.#throwIfBroken(name);
        return this.#index.byName.has(name);
      },
      packageAt: async (dir) => this.packageAt(dir),
    });
    for (const one of withInner(this.#collections.values()))
      one.overrides = await readOverrides(one.workspaceSpec?.overrides ?? new Map(), {
        root: one.root,
        buildYml: BUILD_YML,
        has: (name) => {
          this.#parseNamed(name);
          return one.find(parseReference(name)) !== undefined;
        },
        packageAt: async (dir) => {
          this.#parseAt(dir);
          one.throwIfBrokenAt(dir);
          const found = this.#index.byDir.get(dir);
          return found?.collection === one ? found : undefined;
        },
      });
  }

  /** Reports whether packages are only read when `packageAt` names them. */
  get #isPartial(): boolean {
    return this.#options.onlyNamed === true && (this.spec?.collections.size ?? 0) === 0;
  }

  /** Returns the directories of own packages: of no collection in this repository. */
  async #ownDirs(): Promise<readonly string[]> {
    const { root, buildYml, gitTop } = this;
    const tracked =
      gitTop === undefined ? [] : await findTrackedDirectories(this.git, gitTop, buildYml);
    const absolute = tracked.map((path) => join(gitTop ?? root, path));
    const inside = withInner(this.#collections.values())
      .map((one) => one.root)
      .filter((dir) => dir !== root && isInside(dir, root));
    const found = ownDirs(root, buildYml, this.spec?.packages, absolute);
    return found.filter((dir) => !inside.some((collection) => isInside(dir, collection)));
  }

  #findIn(dirs: readonly string[]): void {
    for (const dir of dirs) {
      try {
        this.#unparsed.add(dir, this.#readFile(dir));
      } catch (error) {
        this.#broken.push(brokenPackage(dir, '', error));
      }
    }
  }

  *#allUnparsed(): Generator<UnparsedPackages> {
    yield this.#unparsed;
    for (const one of withInner(this.#collections.values())) yield one.unparsed;
  }

  /** Adds all packages, or their errors to `problems`. */
  parseAll(): void {
    this.#parse(() => true);
  }

  /** Adds the packages that may have a name, or their errors to `problems`. */
  #parseNamed(name: string): void {
    this.#parse(mayDeclare(basename(name)));
  }

  /** Adds the packages that `isWanted` selects, or their errors to `problems`. */
  #parse(isWanted: Wanted): void {
    for (const collection of withInner(this.#collections.values()))
      for (const [dir, file] of collection.unparsed.take(isWanted))
        this.#addToCollection(collection, dir, file);
    const own = this.#unparsed.take(isWanted);
    for (const [dir, file] of own) this.#addOwn(dir, file);
    if (own.length > 0) this.#index.sort();
  }

  /** Adds the package in a directory, and all that may have its name. */
  #parseAt(dir: string): void {
    const file = this.#allUnparsed()
      .map((files) => files.get(dir))
      .find((one) => one !== undefined);
    if (file === undefined) return;
    const image = plainImage(file.text);
    if (image === undefined) this.parseAll();
    else this.#parseNamed(image);
  }

  #addToCollection(collection: Collection, dir: string, file: SourceFile): void {
    const { name } = collection;
    try {
      const own = parseBuildYml(file, dir, collection.workspaceSpec?.org);
      const item = { ...own, org: name, name: `${name}/${own.image}`, collection };
      const other = collection.packages.get(own.name) ?? this.#index.byName.get(item.name);
      if (other !== undefined) throw sameName(other, item);
      collection.add(own.name, item);
      this.#index.addToCollection(item);
    } catch (error) {
      collection.addBroken(brokenPackage(dir, file.text, error));
    }
  }

  #addOwn(dir: string, file: SourceFile): void {
    try {
      const found = parseBuildYml(file, dir, this.spec?.org);
      if (this.#isUsual(dir)) this.#addUsual(found);
      else this.#addElsewhere(found);
    } catch (error) {
      this.#broken.push(brokenPackage(dir, file.text, error));
    }
  }

  /**
   * Where lkt.yml describes the packages, none precedes another one of its name. One that only has
   * collections, as of `lkt migrate`, leaves them as in LinuxKit.
   */
  #isUsual(dir: string): boolean {
    const isDescribed = this.spec?.org !== undefined || this.spec?.packages !== undefined;
    return isDescribed || isUsual(this.root, dir);
  }

  #readFile(dir: string): SourceFile {
    return readDescription(dir, this.buildYml, (path) => this.displayPath(path));
  }

  #addUsual(found: Package): Package {
    if (this.#isPartial) {
      this.#index.byDir.set(found.dir, found);
      return found;
    }
    if (this.#collections.has(found.org)) throw nameOfCollection(found);
    this.#index.add(found);
    return found;
  }

  #addElsewhere(found: Package): void {
    const other = this.#index.byName.get(found.name);
    if (other === undefined || other.tag !== found.tag) {
      if (this.#index.ambiguity(found.name) === undefined) this.#addUsual(found);
    } else if (!this.#isUsual(other.dir)) this.#index.setAmbiguous(other, found);
  }

  #add(dir: string): Package {
    const file = this.#readFile(dir);
    const own = parseBuildYml(file, dir, this.spec?.org);
    const other = nearestWorkspace(dir, hasGit);
    // Its lkt.yml has the organization that build.yml lacks.
    if (other !== undefined && other !== this.root && !/^org\s*:/m.test(file.text))
      throw new LktError(
        'CONFIG_INVALID',
        `${this.displayPath(dir)} is in another workspace, ${this.displayPath(other)}`,
        { fix: `run the command there: cd ${this.displayPath(other)}` },
      );
    this.#parseNamed(own.image);
    const found = this.#addUsual(own);
    this.#index.resolveAmbiguity(found.name);
    this.#index.sort();
    return found;
  }

  /**
   * Returns the package that a reference names, ignoring tag and digest.
   * @param user the package with the reference; in a collection, names are the collection's own
   * @throws CONFIG_INVALID if it may be a package with an error
   */
  find({ domain, path, tag }: Reference, user?: Package): Package | undefined {
    this.#parseNamed(path);
    if (user?.collection !== undefined) return user.collection.find({ domain, path }, user);
    const name = familiarReference({ domain, path });
    this.#throwIfBroken(name);
    const override = this.#overrides.get(name);
    // It may extend the package that it replaces.
    if (override !== undefined && override !== user) return override;
    return this.#index.find(name, tag);
  }

  /**
   * Returns the name of an image in the registry that serves it: of a package of a collection, in
   * the collection's registry; otherwise the same name.
   */
  locate(reference: Reference): Reference {
    const { domain, path, ...rest } = reference;
    this.#parseNamed(path);
    const item = this.#index.byName.get(familiarReference({ domain, path }));
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
    this.#throwIfBroken(name);
    const found = this.#index.find(name);
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
    const isCollection = this.#collections.has(org);
    if (!isCollection && names.length === 0) return undefined;
    const where = isCollection ? `the collection ${org}` : 'this workspace';
    return new LktError('NOT_FOUND', `${where} has no package ${name}`, {
      fix: didYouMean(name, names, 'correct the name; lkt graph lists the packages'),
    });
  }

  /** @throws LktError the error of a package that may have this name, `org/image` */
  #throwIfBroken(name: string): void {
    this.#parseNamed(name);
    const found = this.#broken.find((one) => mayBeNamed(one, name));
    const error = found?.error ?? this.#index.ambiguity(name);
    if (error !== undefined) throw error;
    if (this.#index.byName.has(name)) return;
    const slash = name.indexOf('/');
    this.#collections.get(name.slice(0, slash))?.imageNamed(name.slice(slash + 1));
  }

  /** Returns a path for messages, relative to the directory that the workspace was opened from. */
  displayPath(path: string): string {
    return relative(this.#options.shownFrom ?? this.start, path) || '.';
  }
}

function nameOfCollection({ file, org, name }: Package): LktError {
  return new LktError(
    'CONFIG_INVALID',
    `${file.path} is the package ${name}, but ${org} is a collection in ${WORKSPACE_FILE}`,
    { fix: `change "org"; to replace the package, add it to "overrides" of ${WORKSPACE_FILE}` },
  );
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
