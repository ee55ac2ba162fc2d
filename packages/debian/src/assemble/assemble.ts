import { join } from 'node:path';
import { LktError, mapConcurrent, type Reporter, reportStep, ResourcePool } from '@lkt/core';
import {
  type EntryWithContent,
  fromRaw,
  type RawPath,
  readTar,
  singleChunk,
  SOURCE_DATE_EPOCH,
  type Store,
  type TarEntry,
  toRaw,
} from '@lkt/oci';
import { upstreamLicense } from '../copyright/upstream-license.ts';
import type { DebFile } from '../deb/deb-files.ts';
import { type DebMetadata, isCopyright, MetadataCollector } from '../deb/deb-metadata.ts';
import { debControl, debTar } from '../deb/deb.ts';
import { matcher } from './glob.ts';
import { type DebianLock, type LockedPackage, SOURCE_ARCHITECTURE } from '../lock/lock.ts';
import { satisfies, parseRelations } from '../lock/relation.ts';
import { sourcePath } from '../archive/source-package.ts';
import { type Content, Spool } from './spool.ts';
import { DIRECTORY_MODE, ImageTree, type Replaces, type TreeFile } from './image-tree.ts';
import { isUsrLink, mergeUsr, usrLinks } from './usr-merge.ts';
import type { Paragraph } from '../deb/deb822.ts';
import { findXzDecoder, type XzDecoder } from '../deb/xz.ts';

/** Changes that build.yml makes to the files of packages. */
export interface AssembleOptions {
  /** Globs of paths to leave out, besides `DEFAULT_EXCLUDES`. */
  readonly exclude?: readonly string[];
  /** Globs of paths to keep despite `exclude` and the defaults. */
  readonly include?: readonly string[];
  /** Symlinks: path → target, verbatim. */
  readonly links?: ReadonlyMap<string, string>;
  readonly files?: readonly DeclaredFile[];
  readonly directories?: readonly DeclaredDirectory[];
}

/** A file that build.yml declares. */
export interface DeclaredFile {
  readonly path: string;
  readonly contents: string;
  /** Default: 0644. */
  readonly mode?: number;
}

/** A directory that build.yml declares. */
export interface DeclaredDirectory {
  readonly path: string;
  /** Default: 0755. */
  readonly mode?: number;
}

/** How to assemble: nothing here affects the bytes. */
export interface AssembleContext {
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** Called for each non-empty file with the package that owns it. */
  readonly onFile?: (file: DebFile) => void;
  /** Called with what the packages say about themselves. */
  readonly onMetadata?: (metadata: readonly DebMetadata[]) => void;
  /** Decoder for xz; default: the fastest on this machine. */
  readonly decoder?: XzDecoder;
}

/** Documentation, and files that only desktops, shell completion or Debian's tools read. */
export const DEFAULT_EXCLUDES: readonly string[] = [
  'usr/share/bash-completion',
  'usr/share/bug',
  'usr/share/doc',
  'usr/share/doc-base',
  'usr/share/fish',
  'usr/share/gtk-doc',
  'usr/share/info',
  'usr/share/lintian',
  'usr/share/locale',
  'usr/share/man',
  'usr/share/menu',
  'usr/share/zsh',
];

const UNPACKERS = 2;

/**
 * Returns the files of the locked packages as one tree, in layer order. The store must have the
 * .debs.
 *
 * Runs no maintainer scripts. Every owner is root; setuid and setgid bits and extended attributes
 * are dropped; `/bin`, `/sbin`, `/lib` and `/lib64` are links into `/usr`. Equal locks and options
 * give equal bytes on any machine. Only names and modes are in memory: contents wait in the store's
 * temporary directory.
 * @throws TREE_CONFLICT, ARCHIVE_INVALID, DIGEST_MISMATCH, NOT_FOUND
 */
export async function* assemble(
  lock: DebianLock,
  store: Store,
  options: AssembleOptions,
  context: AssembleContext,
): AsyncGenerator<EntryWithContent> {
  await using resources = new AsyncDisposableStack();
  const { path } = resources.use(await store.tempDir());
  const spools: Spool[] = [];
  for (let index = 0; index < UNPACKERS; index += 1)
    spools.push(resources.use(await Spool.create(join(path, `spool-${index}`))));

  const metadata = new MetadataCollector();
  const unpacked = await unpackAll(lock, store, spools, metadata, context);
  const tree = new ImageTree();
  for (const link of usrLinks(lock.architecture)) tree.declare(link, 'the /usr layout');
  const keep = selector(options);
  const packages = new Map(lock.packages.map((item) => [item.name, item]));
  const replaces = replacesReader(packages, store, context);
  for (const { name } of lock.packages)
    for (const file of unpacked.get(name) ?? [])
      if (keep(file.path)) await tree.add(file, name, replaces);
  for (const file of declared(options)) tree.declare(file, 'build.yml');
  for (const { path: file, size, owner } of tree.files()) {
    const item = packages.get(owner);
    if (item !== undefined) context.onFile?.({ item, path: file, size });
  }
  if (context.onMetadata !== undefined) {
    for (const item of lock.packages)
      await collectLicenses(item, unpacked.get(item.name) ?? [], metadata);
    context.onMetadata(metadata.all(lock));
  }
  yield* tree.entries();
}

/** Also reads the files that are left out of the image, where documentation is. */
async function collectLicenses(
  item: LockedPackage,
  files: readonly TreeFile[],
  metadata: MetadataCollector,
): Promise<void> {
  for (const { path, type, link, content } of files) {
    if (item.architecture === SOURCE_ARCHITECTURE && content !== undefined) {
      const packed = { content: content.read(), size: item.size, what: item.path };
      const license = await upstreamLicense(packed);
      if (license !== undefined) metadata.addLicense(item, license);
    }
    if (type === 'directory' || !isCopyright({ path, link, size: content?.size ?? 0 })) continue;
    if (link !== undefined) metadata.addLink(path, link);
    else if (content !== undefined)
      metadata.addText(path, Buffer.concat(await Array.fromAsync(content.read())).toString());
  }
}

async function unpackAll(
  lock: DebianLock,
  store: Store,
  spools: readonly Spool[],
  metadata: MetadataCollector,
  { reporter, signal, decoder }: AssembleContext,
): Promise<ReadonlyMap<string, readonly TreeFile[]>> {
  const how = decoder ?? (await findXzDecoder());
  const id = `unpack ${lock.suite} ${lock.architecture}`;
  const total = lock.packages.length;
  const unpacked = new Map<string, readonly TreeFile[]>();
  const pool = new ResourcePool(spools);
  const work = async (item: LockedPackage, stop: AbortSignal): Promise<void> => {
    unpacked.set(
      item.name,
      await pool.use(async (spool) => unpack(item, store, spool, metadata, how, stop)),
    );
    reporter.emit({ kind: 'progress', id, current: unpacked.size, total, unit: 'items' });
  };
  await reportStep(reporter, { id, title: `unpack ${total} Debian packages` }, async () => {
    await mapConcurrent(lock.packages, work, { concurrency: spools.length, signal });
    for (const spool of spools) await spool.flush();
  });
  return unpacked;
}

async function unpack(
  item: LockedPackage,
  store: Store,
  spool: Spool,
  metadata: MetadataCollector,
  decoder: XzDecoder,
  signal: AbortSignal,
): Promise<readonly TreeFile[]> {
  if (item.architecture === SOURCE_ARCHITECTURE) return [await tarball(item, store, spool)];
  const what = `${item.name} ${item.version}`;
  const onControl = (control: Paragraph): void => metadata.addControl(item, control);
  const data = debTar(store.read(item), { what, decoder }, onControl);
  const files = new Map<RawPath, TreeFile>();
  try {
    // Read to the end, where the digest is verified, before any of it is used.
    for await (const entry of readTar(data)) {
      signal.throwIfAborted();
      const file = await toFile(entry, files, spool, what);
      if (file !== undefined) files.set(file.path, file);
    }
  } catch (error) {
    // Read the blob to its end: a wrong digest means a damaged blob, not a damaged package.
    if (error instanceof LktError && error.code === 'ARCHIVE_INVALID')
      for await (const chunk of store.read(item)) void chunk;
    throw error;
  }
  return [...files.values()];
}

/** A source package's tarball stays packed, so that its signature upstream still applies. */
async function tarball(item: LockedPackage, store: Store, spool: Spool): Promise<TreeFile> {
  const content = await spool.append(store.read(item));
  return {
    path: sourcePath(item),
    type: 'file',
    mode: 0o644,
    mtime: SOURCE_DATE_EPOCH,
    content,
  };
}

async function toFile(
  entry: TarEntry,
  files: ReadonlyMap<RawPath, TreeFile>,
  spool: Spool,
  what: string,
): Promise<TreeFile | undefined> {
  const path = mergeUsr(entry.path, entry.type === 'directory' ? entry.type : undefined);
  const { mtime } = entry;
  switch (entry.type) {
    case 'directory':
      return path === ''
        ? undefined
        : { path, type: 'directory', mode: entry.mode & 0o1777, mtime };
    case 'symlink': {
      const link = entry.link ?? '';
      if (isUsrLink(path, link)) return undefined;
      return { path, type: 'symlink', mode: 0o777, mtime, link };
    }
    case 'file': {
      const content: Content = await spool.append(entry.content);
      return { path, type: 'file', mode: entry.mode & 0o777, mtime, content };
    }
    case 'hardlink': {
      const target = files.get(mergeUsr(entry.link ?? ''));
      if (target?.type === 'file') return { ...target, path };
      const problem = `${what}: ${fromRaw(path)} is a hard link to a missing file`;
      throw new LktError('ARCHIVE_INVALID', problem);
    }
    case 'char':
    case 'block':
    case 'fifo':
    default:
      throw new LktError('ARCHIVE_INVALID', `${what}: ${fromRaw(path)} is a device or a pipe`);
  }
}

function selector({ exclude = [], include = [] }: AssembleOptions): (path: RawPath) => boolean {
  const excluded = matcher([...DEFAULT_EXCLUDES, ...exclude]);
  const included = matcher(include);
  return (path) => !excluded(path) || included(path);
}

/**
 * Returns a function that reads Replaces. The field is only in the .deb, so it is read on the rare
 * path conflict.
 */
function replacesReader(
  packages: ReadonlyMap<string, LockedPackage>,
  store: Store,
  { decoder }: AssembleContext,
): Replaces {
  return async (winner, loser) => {
    const item = packages.get(winner);
    const other = packages.get(loser);
    if (item === undefined || other === undefined) return false; // one is not a package
    const what = `${winner} ${item.version}`;
    const control = await debControl(store.read(item), { what, decoder });
    const candidate = { ...other, provides: [] };
    return parseRelations(control.get('replaces') ?? '').some((clause) =>
      clause.some((wanted) => satisfies(candidate, wanted)),
    );
  };
}

function* declared({ links, files, directories }: AssembleOptions): Generator<TreeFile> {
  const mtime = SOURCE_DATE_EPOCH;
  for (const { path, mode } of directories ?? [])
    yield {
      path: declaredPath(path),
      type: 'directory',
      mode: (mode ?? DIRECTORY_MODE) & 0o1777,
      mtime,
    };
  for (const { path, contents, mode } of files ?? []) {
    const bytes = Buffer.from(contents, 'utf8');
    const content: Content = { size: bytes.length, read: () => singleChunk(bytes) };
    yield { path: declaredPath(path), type: 'file', mode: (mode ?? 0o644) & 0o777, mtime, content };
  }
  for (const [path, target] of links ?? [])
    yield { path: declaredPath(path), type: 'symlink', mode: 0o777, mtime, link: toRaw(target) };
}

function declaredPath(path: string): RawPath {
  return mergeUsr(toRaw(path.replace(/^\/+/, '').replace(/\/+$/, '')));
}
