import { type Digest, LktError } from '@lkt/core';
import type { Platform, Store } from '@lkt/oci';
import { compareFiles, type FileChange } from './compare-files.ts';
import {
  compareUsedImages,
  compareInputs,
  compareListedPackages,
  listedPackages,
  type NamedChange,
  tagOf,
} from './compare-packages.ts';
import { compareValues, type ValueChange } from './compare-values.ts';
import type { NamedDigest } from './documents.ts';
import { pathInImage } from './facts.ts';
import { comparePrivileges } from './privileges.ts';
import { viewStored } from './store-view.ts';
import type { ImageView, UsedImage } from './view.ts';

/** An image that was added, removed or replaced. */
export interface PackageChange extends NamedChange<UsedImage> {
  /** The known reasons as text: `source hash A → B`, `Dockerfile changed`. */
  readonly because: readonly string[];
  /** Files that differ between the two images; undefined unless the store has both. */
  readonly files?: readonly FileChange[];
}

/** The differences of two images. */
export interface ImageDiff {
  readonly isSame: boolean;
  /** Contained images. */
  readonly packages: readonly PackageChange[];
  /** Differences of the build's parameters and of config values. */
  readonly config: readonly ValueChange[];
  /** Words of the kernel command line. */
  readonly cmdline: { readonly removed: readonly string[]; readonly added: readonly string[] };
  /** Privileges of containers, by path: `services/sshd.capabilities[KILL]`. */
  readonly privileges: readonly ValueChange[];
  readonly inputs: readonly NamedChange<Digest>[];
  /** Output files, named without the name of the build: `NAME-kernel`. */
  readonly outputs: readonly NamedChange<Digest>[];
  /** Packages in the SBOMs, with their versions. */
  readonly listed: readonly NamedChange<string>[];
  readonly files: readonly FileChange[];
  /** Reason why the files were not compared. */
  readonly unread?: string;
}

/**
 * Files derived from the rest of an image. Their changes are reported only if all other files are
 * equal.
 */
const DERIVED: ReadonlySet<string> = new Set(['/usr/share/lkt/manifest', '/usr/share/lkt/initrd']);

/**
 * Compares two images and explains the differences.
 * @param store looks up both versions of a replaced image, to tell how they differ
 * @throws LktError if the files of an image cannot be read
 * @example
 * ```ts
 * const diff = await diffImages(before, after, store, platform);
 * for (const { name, because } of diff.packages) console.log(name, because);
 * ```
 */
export async function diffImages(
  before: ImageView,
  after: ImageView,
  store: Store | undefined,
  platform: Platform,
  signal?: AbortSignal,
): Promise<ImageDiff> {
  const packages: PackageChange[] = [];
  for (const change of compareUsedImages(before.images, after.images))
    packages.push(await explainChange(change, store, platform, signal));
  const isBuild = before.kind === 'build' || after.kind === 'build';
  const config = [
    ...(before.kind === after.kind ? compareValues(before.parameters, after.parameters) : []),
    ...(isBuild || before.kind !== after.kind ? [] : configChanges(before, after)),
  ];
  const { files, privileges, unread } = await fileChanges(before, after, signal);
  const diff = {
    packages,
    config,
    cmdline: compareWords(before.cmdline, after.cmdline),
    privileges,
    // The values of two configs are compared instead, in `config`.
    inputs:
      before.kind === after.kind && before.kind !== 'config'
        ? compareInputs(before.inputs, after.inputs)
        : [],
    outputs:
      isBuild && before.kind === after.kind
        ? compareInputs(outputDigests(before), outputDigests(after))
        : [],
    listed:
      before.sbom === undefined || after.sbom === undefined
        ? []
        : compareListedPackages(listedPackages(before.sbom), listedPackages(after.sbom)),
    files: addSources(files, packages),
    unread,
  };
  const { cmdline, unread: _, ...lists } = diff;
  const isSame =
    Object.values(lists).every(({ length }) => length === 0) &&
    cmdline.added.length + cmdline.removed.length === 0;
  return { isSame, ...diff };
}

/** Images and the command line of a config are compared separately. */
function configChanges(before: ImageView, after: ImageView): readonly ValueChange[] {
  return compareValues(before.config, after.config).filter(
    ({ path }) => before.kind === 'image' || !/(?:^|\.|\])(?:image|cmdline)$|^init\b/.test(path),
  );
}

async function explainChange(
  change: NamedChange<UsedImage>,
  store: Store | undefined,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<PackageChange> {
  const { before, after } = change;
  if (before === undefined || after === undefined) return { ...change, because: [] };
  const because: string[] = [];
  const [old, now] = [tagOf(before.name), tagOf(after.name)];
  if (old !== now)
    because.push(`${isHash(old) && isHash(now) ? 'source hash' : 'tag'} ${old} → ${now}`);
  else because.push('same tag, different image');
  const views = store && (await storedViews(before, after, store, platform));
  if (views === undefined) return { ...change, because };
  const [left, right] = views;
  for (const { name, before: was, after: is } of compareInputs(left.inputs, right.inputs))
    because.push(
      `${name} ${was === undefined ? 'added' : is === undefined ? 'removed' : 'changed'}`,
    );
  for (const { path } of compareValues(left.parameters, right.parameters))
    if (path !== 'sourceHash') because.push(`${path} changed`);
  const { files } = await fileChanges(left, right, signal);
  return { ...change, because, files };
}

function isHash(tag: string): boolean {
  return /^[0-9a-f]{40}(?:-dirty.*)?$/.test(tag);
}

async function storedViews(
  before: UsedImage,
  after: UsedImage,
  store: Store,
  platform: Platform,
): Promise<readonly [ImageView, ImageView] | undefined> {
  if (before.digest === undefined || after.digest === undefined) return undefined;
  try {
    return [
      await viewStored(store, before.name, { digest: before.digest }, platform),
      await viewStored(store, after.name, { digest: after.digest }, platform),
    ];
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function fileChanges(
  before: ImageView,
  after: ImageView,
  signal: AbortSignal | undefined,
): Promise<Pick<ImageDiff, 'files' | 'privileges' | 'unread'>> {
  const none = { files: [], privileges: [] };
  const unreadable = [before, after].find(({ files }) => files === undefined);
  if (before.files === undefined || after.files === undefined)
    return { ...none, unread: `lkt cannot read the format of ${unreadable?.name}` };
  try {
    const [old, now] = [await before.files(signal), await after.files(signal)];
    const all = compareFiles(old, now).filter(
      // A build writes the kernel and its command line as separate files, except in a tar.
      ({ path }) => before.kind === after.kind || !/^\/boot(?:\/|$)/.test(path),
    );
    const own = all.filter(({ path }) => !DERIVED.has(path));
    return { files: own.length === 0 ? all : own, privileges: comparePrivileges(old, now) };
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
    return { ...none, unread: error.message };
  }
}

/** Adds the missing sources of files: the package with the same change of the same path. */
function addSources(
  files: readonly FileChange[],
  packages: readonly PackageChange[],
): readonly FileChange[] {
  const changes = new Map<string, string>();
  for (const { name, files: own = [] } of packages)
    for (const { path, before = '', after = '' } of own)
      changes.set(`${path}\0${before}\0${after}`, name);
  return files.map((file) => {
    if (file.source !== undefined) return file;
    const path = pathInImage(file.path);
    const source = changes.get(`${path}\0${file.before ?? ''}\0${file.after ?? ''}`);
    return source === undefined ? file : { ...file, source };
  });
}

function compareWords(before = '', after = ''): ImageDiff['cmdline'] {
  return { removed: wordsWithout(before, after), added: wordsWithout(after, before) };
}

function wordsWithout(text: string, others: string): readonly string[] {
  const rest = others.split(/\s+/);
  return text.split(/\s+/).filter((word) => {
    const at = rest.indexOf(word);
    if (at !== -1) rest.splice(at, 1);
    return at === -1 && word !== '';
  });
}

/**
 * Lists the outputs with `NAME` in place of the build's name, so that builds with different names
 * compare.
 */
function outputDigests({ outputs, name }: ImageView): readonly NamedDigest[] {
  return outputs.flatMap(({ name: file, digest }) =>
    digest === undefined || /-(?:provenance|sbom\.spdx)\.json$/.test(file)
      ? []
      : [{ name: file.startsWith(name) ? `NAME${file.slice(name.length)}` : file, digest }],
  );
}
