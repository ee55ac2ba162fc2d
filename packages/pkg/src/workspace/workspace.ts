import { readFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, relative, resolve } from 'node:path';
import { isErrno, LktError, nearest, type SourceFile } from '@lkt/core';
import { familiarReference, type Reference } from '@lkt/oci';
import { type PackageSpec, parseBuildYml } from '../build-yml/build-yml.ts';
import { type BrokenPackage, mayBeNamed } from './broken-package.ts';
import { createGit, type Environment, findTop, type Git } from '@lkt/git';
import { findTrackedDirectories } from '@lkt/git/tracked';
import { BUILD_YML, isOnRequest, isUsual, packageDirs } from './package-dirs.ts';

/** A package of a workspace. */
export type Package = PackageSpec;

export interface WorkspaceOptions {
  /** The environment that git runs with. */
  readonly env: Environment;
  readonly buildYml?: string;
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
  const root = gitTop ?? (await findRoot(start));
  const workspace = new Workspace(root, gitTop, start, git, options);
  const tracked =
    gitTop === undefined ? [] : await findTrackedDirectories(git, gitTop, workspace.buildYml);
  workspace.load(packageDirs(root, workspace.buildYml, tracked));
  return workspace;
}

/**
 * The packages of a checkout: the directories with a build.yml that git tracks, those directly
 * under `pkg/`, `tools/` and `kernel/`, those three themselves, and directories added by
 * `packageAt`.
 */
export class Workspace {
  /**
   * Top of the git work tree. Outside git: the nearest parent directory with packages, else the
   * start.
   */
  readonly root: string;
  /** Top of the git work tree; undefined outside git. */
  readonly gitTop: string | undefined;
  readonly #packages = new Map<string, Package>();
  /** Keyed by `org/image`, sorted. */
  readonly packages: ReadonlyMap<string, Package> = this.#packages;
  readonly #byDir = new Map<string, Package>();
  readonly byDir: ReadonlyMap<string, Package> = this.#byDir;
  readonly git: Git;
  /** File name of package descriptions, normally `build.yml`. */
  readonly buildYml: string;
  /** The directory that the workspace was opened from, without symlinks. */
  readonly start: string;
  readonly #dockerfile: string | undefined;
  readonly #broken: BrokenPackage[] = [];
  /** Errors of names that several packages outside the usual directories have. */
  readonly #ambiguous = new Map<string, LktError>();

  constructor(
    root: string,
    gitTop: string | undefined,
    start: string,
    git: Git,
    { buildYml = BUILD_YML, dockerfile }: WorkspaceOptions,
  ) {
    this.root = root;
    this.gitTop = gitTop;
    this.start = start;
    this.git = git;
    this.buildYml = buildYml;
    this.#dockerfile = dockerfile;
  }

  /**
   * Errors of packages that are not in `packages`. A build that needs one of them fails with its
   * error.
   */
  get problems(): readonly LktError[] {
    return this.#broken.map(({ error }) => error);
  }

  /**
   * Returns all packages, except those that are built only when they are named.
   * @throws LktError the first of `problems`
   */
  all(): readonly Package[] {
    const [problem] = [...this.problems, ...this.#ambiguous.values()];
    if (problem !== undefined) throw problem;
    return [...this.packages.values()].filter(({ dir }) => !isOnRequest(this.root, dir));
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
    const broken = this.#broken.find((one) => one.dir === real);
    if (broken !== undefined) throw broken.error;
    const found = this.byDir.get(real) ?? this.#add(real);
    this.#throwIfBroken(found.name);
    const dockerfile = this.#dockerfile;
    if (dockerfile === undefined || dockerfile === found.dockerfile) return found;
    const changed = withDockerfile(found, dockerfile);
    this.#byDir.set(real, changed);
    this.#packages.set(changed.name, changed);
    return changed;
  }

  /**
   * Adds the packages in these directories, or their errors to `problems`. Outside the usual
   * directories, several packages may have one name, as in LinuxKit's tests: then only a directory
   * tells which is meant.
   */
  load(dirs: readonly string[]): void {
    for (const dir of dirs) {
      let text = '';
      try {
        const file = this.#read(dir);
        text = file.text;
        const found = parseBuildYml(file, dir);
        if (isUsual(this.root, dir)) this.#addUsual(found);
        else this.#addElsewhere(found);
      } catch (error) {
        if (!(error instanceof LktError)) throw error;
        this.#broken.push({ dir, text, error });
      }
    }
    this.#sort();
  }

  /** Synchronous, because the thread pool takes ten times as long for so few bytes. */
  #read(dir: string): SourceFile {
    const path = join(dir, this.buildYml);
    try {
      return { path: this.displayPath(path), text: readFileSync(path, 'utf8') };
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
      throw new LktError('NOT_FOUND', `${this.displayPath(dir)} has no ${this.buildYml}`, {
        cause: error,
        fix: 'name the directory of a package',
      });
    }
  }

  #addUsual(found: Package): Package {
    const other = this.packages.get(found.name);
    if (other !== undefined) throw sameName(other, found);
    this.#byDir.set(found.dir, found);
    this.#packages.set(found.name, found);
    return found;
  }

  #addElsewhere(found: Package): void {
    const other = this.packages.get(found.name);
    if (other === undefined) {
      if (!this.#ambiguous.has(found.name)) this.#addUsual(found);
    } else if (!isUsual(this.root, other.dir)) {
      this.#ambiguous.set(found.name, sameName(other, found));
      this.#packages.delete(other.name);
      this.#byDir.delete(other.dir);
    }
  }

  #sort(): void {
    const sorted = [...this.packages].toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.#packages.clear();
    for (const [name, item] of sorted) this.#packages.set(name, item);
  }

  #add(dir: string): Package {
    const found = this.#addUsual(parseBuildYml(this.#read(dir), dir));
    this.#ambiguous.delete(found.name);
    this.#sort();
    return found;
  }

  /**
   * Returns the package that a reference names, ignoring tag and digest.
   * @throws CONFIG_INVALID if it may be a package with an error
   */
  find({ domain, path }: Reference): Package | undefined {
    const name = familiarReference({ domain, path });
    this.#throwIfBroken(name);
    return this.packages.get(name);
  }

  /**
   * Returns the package with this name, `org/image`.
   * @throws NOT_FOUND with the most similar name
   */
  get(name: string): Package {
    this.#throwIfBroken(name);
    const found = this.packages.get(name);
    if (found !== undefined) return found;
    const near = nearest(name, [...this.packages.keys()]);
    throw new LktError('NOT_FOUND', `no package of this workspace is named ${name}`, {
      fix: near === undefined ? 'use the name in a build.yml: org/image' : `did you mean ${near}?`,
    });
  }

  /** @throws LktError the error of a package that may have this name, `org/image` */
  #throwIfBroken(name: string): void {
    const found = this.#broken.find((one) => mayBeNamed(one, name));
    const error = found?.error ?? this.#ambiguous.get(name);
    if (error !== undefined) throw error;
  }

  /** Returns a path relative to the directory that the workspace was opened from. */
  displayPath(path: string): string {
    return relative(this.start, path) || '.';
  }
}

function sameName(one: Package, other: Package): LktError {
  return new LktError(
    'CONFIG_INVALID',
    `${one.file.path} and ${other.file.path} are both the package ${one.name}`,
    { fix: 'change "image" or "org" in one of them' },
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

async function findRoot(start: string): Promise<string> {
  for (let dir = start; ; dir = dirname(dir)) {
    if (packageDirs(dir, BUILD_YML).length > 0) return dir;
    if (dirname(dir) === dir) return start;
  }
}
