import { join } from 'node:path';
import { LktError, mapConcurrent, type Reporter, ResourcePool } from '@lkt/core';
import {
  type EntryWithContent,
  fromRaw,
  type RawPath,
  readTar,
  SOURCE_DATE_EPOCH,
  type Store,
  type TarEntry,
  toRaw,
} from '@lkt/oci';
import type { DebFile } from '../deb/deb-files.ts';
import { debControl, debTar } from '../deb/deb.ts';
import { matcher } from './glob.ts';
import { type DebianLock, type LockedPackage, SOURCE_ARCHITECTURE } from '../lock/lock.ts';
import { meets, parseRelations } from '../lock/relation.ts';
import { sourcePath } from '../archive/source-package.ts';
import { type Content, Spool } from './spool.ts';
import { DIRECTORY_MODE, ImageTree, type Replaces, type TreeFile } from './tree.ts';
import { isUsrLink, mergeUsr, usrLinks } from './usrmerge.ts';
import { findXzDecoder, type XzDecoder } from '../deb/xz.ts';

export interface AssembleOptions {
  /** Globs of paths left out, besides `DEFAULT_EXCLUDES`. */
  readonly exclude?: readonly string[];
  /** Globs of paths kept whatever `exclude` and the defaults say. */
  readonly include?: readonly string[];
  /** Symlinks: path → target as it is written. */
  readonly links?: ReadonlyMap<string, string>;
  readonly files?: readonly StatedFile[];
  readonly directories?: readonly StatedDirectory[];
}

export interface StatedFile {
  readonly path: string;
  readonly contents: string;
  /** By default 0644. */
  readonly mode?: number;
}

export interface StatedDirectory {
  readonly path: string;
  /** By default 0755. */
  readonly mode?: number;
}

export interface AssembleContext {
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** Told of each file that is not empty, and the package it is of. */
  readonly onFile?: (file: DebFile) => void;
  /** How xz is unpacked; by default the fastest way this machine has. */
  readonly decoder?: XzDecoder;
}

/** Documentation in all its forms, and what only a desktop, a shell prompt or Debian's own tools read. */
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
 * The files of the locked packages as one tree, in the order and form of a layer. The .debs must be in the store.
 *
 * No script of a package is run. Every owner is root; setuid and setgid bits and extended attributes are dropped;
 * `/bin`, `/sbin`, `/lib` and `/lib64` are links into `/usr`. The same lock and options give the same bytes on any
 * machine. Memory holds names and modes only: contents wait in the store's temporary directory.
 * @throws LktError TREE_CONFLICT, ARCHIVE_INVALID, DIGEST_MISMATCH, NOT_FOUND
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

  const unpacked = await unpackAll(lock, store, spools, context);
  const tree = new ImageTree();
  for (const link of usrLinks(lock.architecture)) tree.state(link, 'the layout of /usr');
  const keep = selector(options);
  const replaces = replacesReader(lock, store, context);
  for (const { name } of lock.packages)
    for (const file of unpacked.get(name) ?? [])
      if (keep(file.path)) await tree.add(file, name, replaces);
  for (const file of stated(options)) tree.state(file, 'build.yml');
  if (context.onFile !== undefined) report(tree, lock, context.onFile);
  yield* tree.entries();
}

function report(tree: ImageTree, lock: DebianLock, onFile: (file: DebFile) => void): void {
  const packages = new Map(lock.packages.map((item) => [item.name, item]));
  for (const { path, size, owner } of tree.files()) {
    const item = packages.get(owner);
    if (item !== undefined) onFile({ item, path, size });
  }
}

async function unpackAll(
  lock: DebianLock,
  store: Store,
  spools: readonly Spool[],
  { reporter, signal, decoder }: AssembleContext,
): Promise<ReadonlyMap<string, readonly TreeFile[]>> {
  const how = decoder ?? (await findXzDecoder());
  const id = `unpack ${lock.suite} ${lock.architecture}`;
  const total = lock.packages.length;
  reporter.emit({ kind: 'start', id, title: `unpack ${total} Debian packages` });
  const unpacked = new Map<string, readonly TreeFile[]>();
  try {
    const pool = new ResourcePool(spools);
    await mapConcurrent(
      lock.packages,
      async (item, stop) => {
        const files = await pool.use(async (spool) => unpack(item, store, spool, how, stop));
        unpacked.set(item.name, files);
        reporter.emit({ kind: 'progress', id, current: unpacked.size, total, unit: 'items' });
      },
      { concurrency: spools.length, signal },
    );
    for (const spool of spools) await spool.flush();
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    throw error;
  }
  reporter.emit({ kind: 'done', id, cached: false });
  return unpacked;
}

async function unpack(
  item: LockedPackage,
  store: Store,
  spool: Spool,
  decoder: XzDecoder,
  signal: AbortSignal,
): Promise<readonly TreeFile[]> {
  if (item.architecture === SOURCE_ARCHITECTURE) return [await tarball(item, store, spool)];
  const what = `${item.name} ${item.version}`;
  const data = debTar(store.read(item), { what, decoder });
  const files = new Map<RawPath, TreeFile>();
  try {
    // To the end of the .deb, where its digest is checked: only then is anything of it used.
    for await (const entry of readTar(data)) {
      signal.throwIfAborted();
      const file = await toFile(entry, files, spool, what);
      if (file !== undefined) files.set(file.path, file);
    }
  } catch (error) {
    // A damaged blob is more likely than a damaged package: the digest tells.
    if (error instanceof LktError && error.code === 'ARCHIVE_INVALID')
      for await (const chunk of store.read(item)) void chunk;
    throw error;
  }
  return [...files.values()];
}

/** What is locked of a source package is a file, and stays it: whoever unpacks it sees what was signed. */
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
      const problem = `${what}: ${fromRaw(path)} is a hard link to a file that is not there`;
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

/** The Replaces field stands in the .deb alone, so it is read when two packages have one path, which is rare. */
function replacesReader(lock: DebianLock, store: Store, { decoder }: AssembleContext): Replaces {
  const find = (name: string): LockedPackage | undefined =>
    lock.packages.find((item) => item.name === name);
  return async (winner, loser) => {
    const item = find(winner);
    const other = find(loser);
    if (item === undefined || other === undefined) return false; // not both are packages
    const what = `${winner} ${item.version}`;
    const control = await debControl(store.read(item), {
      what,
      decoder,
    });
    const offer = { ...other, provides: [] };
    return parseRelations(control.get('replaces') ?? '').some((clause) =>
      clause.some((wanted) => meets(offer, wanted)),
    );
  };
}

function* stated({ links, files, directories }: AssembleOptions): Generator<TreeFile> {
  const mtime = SOURCE_DATE_EPOCH;
  for (const { path, mode } of directories ?? [])
    yield {
      path: statedPath(path),
      type: 'directory',
      mode: (mode ?? DIRECTORY_MODE) & 0o1777,
      mtime,
    };
  for (const { path, contents, mode } of files ?? []) {
    const content = Buffer.from(contents, 'utf8');
    yield { path: statedPath(path), type: 'file', mode: (mode ?? 0o644) & 0o777, mtime, content };
  }
  for (const [path, target] of links ?? [])
    yield { path: statedPath(path), type: 'symlink', mode: 0o777, mtime, link: toRaw(target) };
}

function statedPath(path: string): RawPath {
  return mergeUsr(toRaw(path.replace(/^\/+/, '').replace(/\/+$/, '')));
}
