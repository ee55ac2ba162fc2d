import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest, LktError, readJson, withPrefix } from '@lkt/core';
import { ENGINE_EPOCH, familiarReference, type Reference } from '@lkt/oci';
import { collectionPlaces, firstDirectory } from './collection-places.ts';
import { type BrokenPackage, mayBeImage, mayBeNamed } from './broken-package.ts';
import { UnparsedPackages } from './unparsed-packages.ts';
import type { Package } from './workspace.ts';
import { type CollectionSpec, readOptional, type WorkspaceSpec } from './workspace-file.ts';

/** The file in a published collection that lists its packages. */
export const COLLECTION_FILE = 'collection.json';

/** A package as `collection.json` lists it. */
export interface PublishedPackage {
  /** The source hash, 40 hex digits. */
  readonly hash: string;
  /** The index that these sources build to; undefined if the collection's repository pins none. */
  readonly digest: Digest | undefined;
}

type CollectionFiles = Pick<
  Collection,
  'engineEpoch' | 'isPlain' | 'places' | 'published' | 'root' | 'spec' | 'workspaceSpec'
>;

/**
 * Packages of others under one name: the sources of another workspace. Its own files see the names
 * of that workspace; here the collection's name replaces their organization.
 */
export class Collection {
  /** `lkt`; of a collection of a collection `acme/lkt`. */
  readonly name: string;
  /** Absolute, without symlinks. */
  readonly root: string;
  /** Where it was looked for; see `collectionPlaces`. */
  readonly places: readonly string[];
  readonly spec: CollectionSpec;
  /** Whether its files are outside git, so that their hashes are computed from the files. */
  readonly isPlain: boolean;
  /** Its own lkt.yml; undefined without one. */
  readonly workspaceSpec: WorkspaceSpec | undefined;
  /** The list of `collection.json`, by the names of its own files; undefined without that file. */
  readonly published: ReadonlyMap<string, PublishedPackage> | undefined;
  /** The engine epoch of the published digests; undefined if `collection.json` does not say. */
  readonly engineEpoch: number | undefined;
  /** Its own collections, by the names that its files use. */
  readonly collections: Map<string, Collection> = new Map<string, Collection>();
  /** Packages that replace others in its own files, by the names of those. */
  overrides: ReadonlyMap<string, Package> = new Map();
  /** Packages that nothing has looked up yet. */
  readonly unparsed: UnparsedPackages = new UnparsedPackages();
  readonly #packages = new Map<string, Package>();
  readonly #broken: BrokenPackage[] = [];

  constructor(name: string, files: CollectionFiles) {
    const { root, places, spec, isPlain, workspaceSpec, published, engineEpoch } = files;
    this.name = name;
    this.engineEpoch = engineEpoch;
    this.root = root;
    this.places = places;
    this.spec = spec;
    this.isPlain = isPlain;
    this.workspaceSpec = workspaceSpec;
    this.published = published;
  }

  /** The packages that are parsed, by the names of its own files. */
  get packages(): ReadonlyMap<string, Package> {
    return this.#packages;
  }

  add(ownName: string, item: Package): void {
    this.#packages.set(ownName, item);
  }

  addBroken(broken: BrokenPackage): void {
    this.#broken.push(broken);
  }

  /** Throws the error of a package that may have this name in the collection's own files. */
  throwIfBroken(ownName: string): void {
    const found = this.#broken.find((one) => mayBeNamed(one, ownName));
    if (found !== undefined) throw found.error;
  }

  /** Throws the error of the package in a directory. */
  throwIfBrokenAt(dir: string): void {
    const found = this.#broken.find((one) => one.dir === dir);
    if (found !== undefined) throw found.error;
  }

  /**
   * Returns the package that a reference in the collection's own files names.
   * @param user the package with the reference, which may extend the one that it overrides
   */
  find({ domain, path }: Reference, user?: Package): Package | undefined {
    const name = familiarReference({ domain, path });
    this.throwIfBroken(name);
    const override = this.overrides.get(name);
    if (override !== undefined && override !== user) return override;
    const own = this.#packages.get(name);
    if (own !== undefined) return own;
    const slash = name.indexOf('/');
    const inner = this.collections.get(name.slice(0, slash));
    return inner?.imageNamed(name.slice(slash + 1));
  }

  /** Returns the package with this name after the collection's own. */
  imageNamed(image: string): Package | undefined {
    const wanted = `${this.name}/${image}`;
    for (const broken of this.#broken) if (mayBeImage(broken, image)) throw broken.error;
    for (const item of this.#packages.values()) if (item.name === wanted) return item;
    const slash = image.indexOf('/');
    return this.collections.get(image.slice(0, slash))?.imageNamed(image.slice(slash + 1));
  }

  /** Returns the name of one of its packages in its own files. */
  ownName(item: Package): string | undefined {
    for (const [name, one] of this.#packages) if (one === item) return name;
    return undefined;
  }

  /** How the user repairs a pin that another version of lkt has written; undefined for this one. */
  get epochFix(): string | undefined {
    if (this.engineEpoch === undefined || this.engineEpoch === ENGINE_EPOCH) return undefined;
    return `install versions of lkt and of the collection that fit: its engine epoch is ${this.engineEpoch}, and that of this lkt ${ENGINE_EPOCH}`;
  }

  /** Returns how the user repairs a pin in its files, which are not theirs to change. */
  pinFix(displayPath: (path: string) => string): string {
    const [top = this.name] = this.name.split('/');
    if (this.epochFix !== undefined) return this.epochFix;
    const { kind } = this.spec.source;
    if (kind === 'path')
      return `pin it in its own workspace: cd ${displayPath(this.root)} && lkt pin`;
    const again = kind === 'npm' ? 'install it again: npm ci, or ' : '';
    return `${again}use another version: lkt collection update ${top}`;
  }

  /** Returns the published form of one of its packages. */
  publishedAs(item: Package): PublishedPackage | undefined {
    return this.published?.get(this.ownName(item) ?? '');
  }
}

/** Returns collections and those that they have, at any depth. */
export function withInner(collections: Iterable<Collection>): readonly Collection[] {
  return [...collections].flatMap((one) => [one, ...withInner(one.collections.values())]);
}

/**
 * Returns the directory with the sources of a collection, without symlinks.
 * @param from directory of the lkt.yml that names it
 * @param gitDir returns the directory with the files of a commit
 * @throws NOT_FOUND at the collection in lkt.yml, and the errors of `gitDir`
 */
export async function collectionDir(
  { source, at }: CollectionSpec,
  from: string,
  gitDir: (url: string, commit: string) => Promise<string>,
): Promise<string> {
  if (source.kind === 'git') {
    const { line, column } = at.position;
    const place = `${at.file.path}:${line}:${column}: ${at.path}: `;
    const dir = await gitDir(source.url, source.commit).catch((error: unknown) => {
      throw withPrefix(error, place);
    });
    return realpathSync(dir);
  }
  const dir = firstDirectory(collectionPlaces({ source }, from));
  if (dir !== undefined) return dir;
  if (source.kind === 'path')
    throw at.error(`there is no directory ${source.path}`, { fix: 'correct "source"' });
  throw at.error(`the npm package ${source.name} is not installed`, {
    fix: dependsOn(from, source.name) ? 'npm install' : `npm install --save-dev ${source.name}`,
  });
}

/** Reports whether the package.json of a directory names a package. */
function dependsOn(dir: string, name: string): boolean {
  const text = readOptional(join(dir, 'package.json'), (path) => path)?.text;
  return text?.includes(`"${name}":`) === true;
}

/** The content of `collection.json`. */
export type PublishedCollection = Pick<Collection, 'engineEpoch' | 'published'>;

/**
 * Reads the list of packages in a published collection; undefined without one.
 * @throws CONFIG_INVALID, also if the collection was published with a list that is missing
 */
export function readPublished(
  root: string,
  displayPath: (path: string) => string,
): PublishedCollection {
  const path = join(root, COLLECTION_FILE);
  const file = readOptional(path, displayPath);
  if (file === undefined) {
    if (!isPublishedWithList(root)) return { engineEpoch: undefined, published: undefined };
    throw new LktError(
      'CONFIG_INVALID',
      `${displayPath(path)} is missing, and package.json lists it`,
      { fix: 'install the collection again: npm ci' },
    );
  }
  return readJson(Buffer.from(file.text), parsePublished, {
    code: 'CONFIG_INVALID',
    what: `${file.path} does not list packages`,
    isStrict: true,
  });
}

function parsePublished(value: unknown): PublishedCollection {
  const { engineEpoch, packages } = value as {
    engineEpoch?: unknown;
    packages: Readonly<Record<string, Partial<PublishedPackage>>>;
  };
  if (engineEpoch !== undefined && typeof engineEpoch !== 'number')
    throw new Error('"engineEpoch" is not a number');
  const published = new Map<string, PublishedPackage>();
  for (const [name, { hash, digest }] of Object.entries(packages)) {
    if (hash === undefined || !/^[0-9a-f]{40}$/.test(hash))
      throw new Error(`"${hash}" is not a source hash`);
    if (digest !== undefined && !isDigest(digest))
      throw new Error(`"${String(digest)}" is not a digest`);
    published.set(name, { hash, digest });
  }
  return { engineEpoch, published };
}

/** Reports whether `files` of a package.json has the list of packages. */
function isPublishedWithList(root: string): boolean {
  const file = readOptional(join(root, 'package.json'), (path) => path);
  if (file === undefined) return false;
  try {
    const { files } = JSON.parse(file.text) as { readonly files?: unknown };
    return Array.isArray(files) && files.includes(COLLECTION_FILE);
  } catch {
    // Not what npm installed.
    return false;
  }
}
