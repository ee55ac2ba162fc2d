import { type Digest, LktError } from '@lkt/core';
import type { Platform, Store } from '@lkt/oci';
import { compareFiles, type FileChange } from './compare-files.ts';
import {
  compareImages,
  compareInputs,
  compareListed,
  listedPackages,
  type Named,
  tagOf,
} from './compare-packages.ts';
import { compareValues, type ValueChange } from './compare-values.ts';
import type { NamedDigest } from './documents.ts';
import { viewStored } from './store-view.ts';
import type { ImageView, UsedImage } from './view.ts';

/** An image within, that is another one. */
export interface PackageChange extends Named<UsedImage> {
  /** Why, in words, as far as it is known. */
  readonly because: readonly string[];
  /** What differs in it, where the store has both. */
  readonly files?: readonly FileChange[];
}

export interface ImageDiff {
  readonly isSame: boolean;
  readonly packages: readonly PackageChange[];
  /** What was asked for, and values of the config. */
  readonly config: readonly ValueChange[];
  /** Words of the kernel's command line. */
  readonly cmdline: { readonly removed: readonly string[]; readonly added: readonly string[] };
  readonly inputs: readonly Named<Digest>[];
  /** Files of the builds, by what is after their name. */
  readonly outputs: readonly Named<Digest>[];
  /** What the SBOMs list, with versions. */
  readonly listed: readonly Named<string>[];
  readonly files: readonly FileChange[];
  /** Why files were not compared. */
  readonly unread?: string;
}

/** What was made from the rest of an image, and says nothing where anything else differs. */
const DERIVED: ReadonlySet<string> = new Set(['/usr/share/lkt/manifest', '/usr/share/lkt/initrd']);

/**
 * What differs between two images, and why.
 * @param store with the packages, to find out what changed in them
 * @throws what reading them throws
 */
export async function diffImages(
  before: ImageView,
  after: ImageView,
  store: Store | undefined,
  platform: Platform,
  signal?: AbortSignal,
): Promise<ImageDiff> {
  const packages: PackageChange[] = [];
  for (const change of compareImages(before.images, after.images))
    packages.push(await explain(change, store, platform, signal));
  const isBuild = before.kind === 'build' || after.kind === 'build';
  const config = [
    ...(before.kind === after.kind ? compareValues(before.parameters, after.parameters) : []),
    ...(isBuild || before.kind !== after.kind ? [] : configChanges(before, after)),
  ];
  const { files, unread } = await fileChanges(before, after, signal);
  const diff = {
    packages,
    config,
    cmdline: compareWords(before.cmdline, after.cmdline),
    // What a config says is compared as a whole.
    inputs:
      before.kind === after.kind && before.kind !== 'config'
        ? compareInputs(before.inputs, after.inputs)
        : [],
    outputs: isBuild && before.kind === after.kind ? outputChanges(before, after) : [],
    listed:
      before.sbom === undefined || after.sbom === undefined
        ? []
        : compareListed(listedPackages(before.sbom), listedPackages(after.sbom)),
    files: attribute(files, packages),
    unread,
  };
  const { cmdline, unread: _, ...lists } = diff;
  const isSame =
    Object.values(lists).every(({ length }) => length === 0) &&
    cmdline.added.length + cmdline.removed.length === 0;
  return { isSame, ...diff };
}

/** What a config says of images is said of them, and its command line by words. */
function configChanges(before: ImageView, after: ImageView): readonly ValueChange[] {
  return compareValues(before.config, after.config).filter(
    ({ path }) => before.kind === 'image' || !/(?:^|\.|\])(?:image|cmdline)$|^init\b/.test(path),
  );
}

async function explain(
  change: Named<UsedImage>,
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
  else because.push('the same tag is another image');
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
): Promise<{ readonly files: readonly FileChange[]; readonly unread?: string }> {
  const lost = [before, after].find(({ files }) => files === undefined);
  if (before.files === undefined || after.files === undefined)
    return { files: [], unread: `the files in ${lost?.name} are in a form that is not read` };
  try {
    const all = compareFiles(await before.files(signal), await after.files(signal)).filter(
      // Of a build, kernel and command line are files of their own, but in a tar.
      ({ path }) => before.kind === after.kind || !/^\/boot(?:\/|$)/.test(path),
    );
    const own = all.filter(({ path }) => !DERIVED.has(path));
    return { files: own.length === 0 ? all : own };
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
    return { files: [], unread: error.message };
  }
}

/** The package of a file, where the archive does not say it: what it is in, and its content, are those of a change there. */
function attribute(
  files: readonly FileChange[],
  packages: readonly PackageChange[],
): readonly FileChange[] {
  const changes = new Map<string, string>();
  for (const { name, files: own = [] } of packages)
    for (const { path, before = '', after = '' } of own)
      changes.set(`${path}\0${before}\0${after}`, name);
  return files.map((file) => {
    if (file.source !== undefined) return file;
    const path = file.path.replace(
      /^\/containers\/(?:onboot|onshutdown|services)\/[^/]+\/(?:rootfs|lower)(?=\/)/,
      '',
    );
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

function outputChanges(before: ImageView, after: ImageView): readonly Named<Digest>[] {
  return compareInputs(plainOutputs(before), plainOutputs(after));
}

/** The files of two builds have different names where the builds have. */
function plainOutputs({ outputs, name }: ImageView): readonly NamedDigest[] {
  return outputs.flatMap(({ name: file, digest }) =>
    digest === undefined || /-(?:provenance|sbom\.spdx)\.json$/.test(file)
      ? []
      : [{ name: file.startsWith(name) ? `NAME${file.slice(name.length)}` : file, digest }],
  );
}
