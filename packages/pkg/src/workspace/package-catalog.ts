import { basename } from 'node:path';
import { LktError, type SourceFile } from '@lkt/core';
import { parseBuildYml } from '../build-yml/build-yml.ts';
import { type BrokenPackage, brokenPackage, mayBeNamed } from './broken-package.ts';
import { type Collection, withInner } from './collection.ts';
import { isUsual } from './package-dirs.ts';
import { PackageIndex, sameName } from './package-index.ts';
import { readDescription } from './read-description.ts';
import {
  mayContain,
  mayDeclare,
  plainImage,
  UnparsedPackages,
  type Wanted,
} from './unparsed-packages.ts';
import type { Package, Workspace } from './workspace.ts';
import { WORKSPACE_FILE } from './find-workspace.ts';

/** A build.yml with the directory of its package. */
export type Description = readonly [dir: string, file: SourceFile];

/** The parts of a workspace that say where its packages are, and whose names they have. */
type CatalogOptions = Pick<Workspace, 'buildYml' | 'displayPath' | 'root' | 'spec'> &
  Pick<PackageCatalog, 'isPartial'>;

/**
 * The packages of a workspace and of its collections, and the errors of invalid ones. A build.yml
 * is parsed when a name is looked up that it may declare.
 */
export class PackageCatalog {
  readonly #options: CatalogOptions;
  /** Whether it has only packages that `addNamed` adds, and no collections. */
  readonly isPartial: boolean;
  readonly #index = new PackageIndex();
  readonly #unparsed = new UnparsedPackages();
  readonly #broken: BrokenPackage[] = [];
  readonly #collections = new Map<string, Collection>();
  /** By the name that stands for their packages. */
  readonly collections: ReadonlyMap<string, Collection> = this.#collections;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.isPartial = options.isPartial;
  }

  /** The packages that were looked up so far, and others whose build.yml mentions their names. */
  get packages(): ReadonlyMap<string, Package> {
    return this.#index.byName;
  }

  /** Those of `packages`, and others that only their directories name. */
  get known(): Iterable<Package> {
    // Two collections with one source have the same directories.
    return new Set([...this.packages.values(), ...this.#index.byDir.values()]);
  }

  /** The errors that were found so far, while packages were looked up. */
  get problems(): readonly LktError[] {
    return this.#broken.map(({ error }) => error);
  }

  /** The errors of names that several packages have. */
  get ambiguities(): readonly LktError[] {
    return this.#index.ambiguities;
  }

  /** The directories of the workspace's own packages. */
  get ownDirs(): readonly string[] {
    const known = [...this.#index.byDir.values()].filter(
      ({ collection }) => collection === undefined,
    );
    const unparsed = [...this.#unparsed.entries()];
    return [...known.map(({ dir }) => dir), ...unparsed.map(([dir]) => dir)];
  }

  /** Each build.yml that declares, or may declare, a package. */
  *descriptions(): Generator<Description> {
    for (const { dir, file } of this.known) yield [dir, file];
    for (const files of this.#allUnparsed()) yield* files.entries();
  }

  addCollection(name: string, collection: Collection): void {
    this.#collections.set(name, collection);
  }

  /** Adds own packages, which are parsed later. */
  addDirs(dirs: readonly string[]): void {
    for (const dir of dirs) {
      try {
        this.#unparsed.add(dir, this.readFile(dir));
      } catch (error) {
        this.#broken.push(brokenPackage(dir, '', error));
      }
    }
  }

  /**
   * Adds a package that is named by its directory. Its name means this one, unless another package
   * outside the usual directories has the name and tag.
   * @throws CONFIG_INVALID if a package in a usual directory has them
   */
  addNamed(found: Package): void {
    this.parseNamed(found.image);
    const other = this.#index.withTag(found);
    if (other !== undefined && !this.isUsual(other.dir) && !this.isUsual(found.dir)) {
      this.#index.byDir.set(found.dir, found);
      return;
    }
    this.#addUsual(found);
    this.#index.resolveAmbiguity(found.name);
    this.#index.sort();
  }

  /** Replaces a package by a changed one of the same directory. */
  replace(changed: Package): void {
    this.#index.replace(changed);
  }

  /** Parses all packages. */
  parseAll(): void {
    this.#parse(() => true);
  }

  /** Parses the packages that may have a name. */
  parseNamed(name: string): void {
    this.#parse(mayDeclare(basename(name)));
  }

  /** Parses the packages whose build.yml may contain a text without white space. */
  parseMentioning(text: string): void {
    this.#parse((_, yaml) => mayContain(yaml, text));
  }

  /**
   * Returns the package in a directory without symlinks. Parses it, and all that may have its name.
   * @throws LktError its error
   */
  at(dir: string): Package | undefined {
    const file = this.#allUnparsed()
      .map((files) => files.get(dir))
      .find((one) => one !== undefined);
    const image = file === undefined ? undefined : plainImage(file.text);
    if (image !== undefined) this.parseNamed(image);
    else if (file !== undefined) this.parseAll();
    const broken = this.#broken.find((one) => one.dir === dir);
    if (broken !== undefined) throw broken.error;
    return this.#index.byDir.get(dir);
  }

  /**
   * Returns the package with a name, `org/image`, after `throwIfBroken`; of several, the one with a
   * tag.
   * @throws CONFIG_INVALID if there are several, and not exactly one has the tag
   */
  named(name: string, tag?: string): Package | undefined {
    return this.#index.find(name, tag);
  }

  /** @throws LktError the error of a package that may have this name, `org/image` */
  throwIfBroken(name: string): void {
    this.parseNamed(name);
    const found = this.#broken.find((one) => mayBeNamed(one, name));
    const error = found?.error ?? this.#index.ambiguity(name);
    if (error !== undefined) throw error;
    if (this.#index.byName.has(name)) return;
    const slash = name.indexOf('/');
    this.#collections.get(name.slice(0, slash))?.imageNamed(name.slice(slash + 1));
  }

  /** Reads the build.yml in a directory. @throws NOT_FOUND if it is missing */
  readFile(dir: string): SourceFile {
    const { buildYml, displayPath } = this.#options;
    return readDescription(dir, buildYml, displayPath);
  }

  /**
   * Reports whether no other package may have the name and tag of the one in a directory. An
   * lkt.yml that describes packages makes this true for all. One that only has collections, as of
   * `lkt migrate`, leaves it to the directories of LinuxKit.
   */
  isUsual(dir: string): boolean {
    const { root, spec } = this.#options;
    const isDescribed = spec?.org !== undefined || spec?.packages !== undefined;
    return isDescribed || isUsual(root, dir);
  }

  *#allUnparsed(): Generator<UnparsedPackages> {
    yield this.#unparsed;
    for (const one of withInner(this.#collections.values())) yield one.unparsed;
  }

  /** Adds the packages that `isWanted` selects, or their errors. */
  #parse(isWanted: Wanted): void {
    for (const collection of withInner(this.#collections.values()))
      for (const [dir, file] of collection.unparsed.take(isWanted))
        this.#addToCollection(collection, dir, file);
    const own = this.#unparsed.take(isWanted);
    for (const [dir, file] of own) this.#addOwn(dir, file);
    if (own.length > 0) this.#index.sort();
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
      const found = parseBuildYml(file, dir, this.#options.spec?.org);
      if (this.isUsual(dir)) this.#addUsual(found);
      else this.#addElsewhere(found);
    } catch (error) {
      this.#broken.push(brokenPackage(dir, file.text, error));
    }
  }

  #addUsual(found: Package): void {
    if (this.isPartial) {
      this.#index.byDir.set(found.dir, found);
      return;
    }
    if (this.#collections.has(found.org)) throw nameOfCollection(found);
    this.#index.add(found);
  }

  #addElsewhere(found: Package): void {
    const other = this.#index.byName.get(found.name);
    if (other === undefined || other.tag !== found.tag) {
      if (this.#index.ambiguity(found.name) === undefined) this.#addUsual(found);
    } else if (!this.isUsual(other.dir)) this.#index.setAmbiguous(other, found);
  }
}

function nameOfCollection({ file, org, name }: Package): LktError {
  return new LktError(
    'CONFIG_INVALID',
    `${file.path} describes the package ${name}, but ${org} is a collection in ${WORKSPACE_FILE}`,
    { fix: `change "org"; to replace the package, add it to "overrides" of ${WORKSPACE_FILE}` },
  );
}
