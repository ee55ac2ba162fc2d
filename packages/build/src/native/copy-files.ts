import {
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { Digester, LktError, type SourceFile, sourceError } from '@lkt/core';
import {
  baseName,
  fromRaw,
  parentPath,
  type RawPath,
  readTar,
  SOURCE_DATE_EPOCH,
  type Store,
} from '@lkt/oci';
import { Context } from '../context.ts';
import type { ArchiveEntry, CopyPlan, RemoteEntry } from '../dockerfile/copy.ts';
import { parentsOf } from '../dockerfile/source-tree.ts';
import type { CopyStep } from '../dockerfile/steps.ts';
import { isArchive, readArchive } from './archive.ts';
import { setMetadata, writeContent } from './extract.ts';
import { changeMode } from './file-mode.ts';
import { withOwner } from './host-error.ts';
import type { HostTree } from './host-tree.ts';
import { contentOf } from './layer-entries.ts';
import { findOwner, type Owner, readAccounts, readShort } from './owners.ts';
import {
  attributesAt,
  deviceNumbers,
  joinRaw,
  linkAt,
  mtimeOf,
  pathAt,
  statAt,
  textPathAt,
  typeOf,
} from './raw-fs.ts';
import { resolveIn } from './rooted.ts';
import { SystemCallError } from './c-library.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO } from './special-files.ts';
import { unpackArchive } from './unpack-archive.ts';

/**
 * Copies files into a mounted file system, as BuildKit does: symbolic links in the directory part of a destination
 * lead inside it; what is not a directory is replaced, and never written through; a directory that is there gets mode
 * and owner of the one that is copied, but for the destination itself.
 */
export class FileCopier {
  readonly #root: string;
  readonly #file: SourceFile;
  readonly #step: CopyFlags;
  readonly #owner: Owner | undefined;
  readonly #resolved = new Map<RawPath, RawPath>();
  readonly #times: { readonly path: RawPath; readonly time: number }[] = [];
  readonly #signal: AbortSignal | undefined;

  /** @throws LktError DOCKERFILE_INVALID when --chown names an owner that the image does not know. */
  constructor(root: string, step: CopyFlags, file: SourceFile, signal?: AbortSignal) {
    this.#root = root;
    this.#step = step;
    this.#file = file;
    this.#signal = signal;
    this.#owner = step.chown === undefined ? undefined : this.#findOwner(step.chown);
  }

  /** Modes are as the context normalises them, times SOURCE_DATE_EPOCH, the owner root unless --chown says otherwise. */
  async copyContext(context: Context, plan: CopyPlan): Promise<void> {
    this.#makeDirectories(plan);
    for (const { source, target, type } of plan.entries) {
      this.#signal?.throwIfAborted();
      const node = context.node(source);
      if (node === undefined) throw new Error(`${source} left the context`);
      const path = this.#place(target, type === 'directory');
      if (type === 'symlink') {
        symlinkSync(Buffer.from(node.link ?? '', 'latin1'), pathAt(this.#root, path));
      } else if (type === 'file') {
        const expected = await context.contentDigest(source, this.#signal);
        const digester = new Digester();
        await writeContent(
          pathAt(this.#root, path),
          tee(contentOf(node.source, '', node.size), digester),
        );
        if (digester.digest() !== expected) {
          throw changed(source);
        }
      }
      const owner = this.#owner ?? { uid: 0, gid: 0 };
      this.#finish(path, type, { ...owner, mode: node.mode, mtime: SOURCE_DATE_EPOCH });
    }
    await this.#writeFiles(plan);
    this.#setTimes();
  }

  /** Unpacks an archive of the context. The owners are those of the archive unless --chown says otherwise. */
  async unpack(context: Context, archive: ArchiveEntry, canMakeDevices: boolean): Promise<void> {
    const { source, target, directories } = archive;
    const node = context.node(source);
    if (node === undefined) throw new Error(`${source} left the context`);
    const signal = this.#signal;
    const expected = await context.contentDigest(source, signal);
    await this.#unpackFile(node.source, fromRaw(source), { target, directories }, canMakeDevices);
    const after = new Context([{ path: source, source: node.source }]);
    if ((await after.contentDigest(source, signal)) !== expected) throw changed(source);
  }

  /** Adds a blob of the store, which has been fetched: mode 600, root's, the time is SOURCE_DATE_EPOCH. */
  async addRemote(store: Store, remote: RemoteEntry, canMakeDevices: boolean): Promise<void> {
    const { digest, target, unpacked } = remote;
    const blob = store.blobPath(digest);
    if (unpacked !== undefined && (await isArchive(blob, { signal: this.#signal }))) {
      const directories = unpacked === '' ? [] : [...parentsOf(unpacked), unpacked];
      await this.#unpackFile(blob, digest, { target: unpacked, directories }, canMakeDevices);
      return;
    }
    this.#makeDirectories({ directories: parentsOf(target) });
    const path = this.#place(target, false);
    await writeContent(pathAt(this.#root, path), store.read({ digest }));
    const owner = this.#owner ?? { uid: 0, gid: 0 };
    this.#finish(path, 'file', { ...owner, mode: 0o600, mtime: SOURCE_DATE_EPOCH });
  }

  async #unpackFile(
    path: string,
    shown: string,
    { target, directories }: Pick<ArchiveEntry, 'target' | 'directories'>,
    canMakeDevices: boolean,
  ): Promise<void> {
    this.#makeDirectories({ directories });
    const real = resolveIn(this.#root, target);
    const directory = real === undefined ? undefined : textPathAt(this.#root, real);
    if (directory === undefined)
      throw this.#error(`/${fromRaw(target)} leads to a name that is not UTF-8`);
    const signal = this.#signal;
    try {
      await unpackArchive(readTar(readArchive(path, { signal }), { unnamed: true }), directory, {
        owner: this.#owner,
        canMakeDevices,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (!(error instanceof LktError) || !['ARCHIVE_INVALID', 'UNSUPPORTED'].includes(error.code))
        throw error;
      const { position } = this.#step;
      const message = `${shown} cannot be unpacked: ${error.message}`;
      throw sourceError(error.code, this.#file, position, message, {
        cause: error,
        fix: 'use COPY, or ADD --unpack=false, to have the archive itself in the image',
      });
    }
  }

  /** Modes, owners, times and attributes are as in the tree, unless flags say otherwise. */
  async copyTree(tree: HostTree, plan: CopyPlan): Promise<void> {
    this.#makeDirectories(plan);
    const links = new Map<string, RawPath>();
    for (const { source, target, type, alone } of plan.entries) {
      this.#signal?.throwIfAborted();
      const stats = tree.stats(source);
      const path = this.#place(target, type === 'directory');
      if (type === 'directory' && stats?.isDirectory() !== true) {
        // --parents keeps the way through a link as a directory.
        const owner = this.#owner ?? { uid: 0, gid: 0 };
        this.#finish(path, type, { ...owner, mode: 0o755, mtime: SOURCE_DATE_EPOCH });
        continue;
      }
      if (stats === undefined || typeOf(stats) !== type)
        throw new Error(`${source} is not what it was in the plan`);
      const isLinked = type !== 'directory' && stats.nlink > 1 && alone !== true;
      const inode = `${stats.dev}:${stats.ino}`;
      const first = isLinked ? links.get(inode) : undefined;
      if (first !== undefined) {
        linkSync(pathAt(this.#root, first), pathAt(this.#root, path));
        continue;
      }
      if (isLinked) links.set(inode, path);
      if (type !== 'directory') await this.#copyNode(tree, source, path, stats);
      const xattrs = attributesAt(tree.root, source);
      this.#finish(path, type, {
        uid: this.#owner?.uid ?? stats.uid,
        gid: this.#owner?.gid ?? stats.gid,
        mode: stats.mode & 0o7777,
        mtime: mtimeOf(stats),
        ...(xattrs === undefined ? {} : { xattrs }),
      });
    }
    await this.#writeFiles(plan);
    this.#setTimes();
  }

  async #copyNode(tree: HostTree, source: RawPath, path: RawPath, stats: Stats): Promise<void> {
    const file = pathAt(this.#root, path);
    if (stats.isFile()) {
      const from = pathAt(tree.root, source);
      if (stats.size > LARGE) await copyFile(from, file, constants.COPYFILE_FICLONE);
      else copyFileSync(from, file, constants.COPYFILE_FICLONE);
    } else if (stats.isSymbolicLink()) {
      symlinkSync(Buffer.from(linkAt(tree.root, source), 'latin1'), file);
    } else {
      const { devMajor, devMinor } = deviceNumbers(stats.rdev);
      const kind = stats.isFIFO() ? S_IFIFO : stats.isBlockDevice() ? S_IFBLK : S_IFCHR;
      try {
        makeNode(file, kind | 0o600, devMajor, devMinor);
      } catch (error) {
        if (!(error instanceof SystemCallError) || error.code !== 'EPERM') throw error;
        throw new LktError('HOST_UNSUPPORTED', `/${fromRaw(source)} is a device`, {
          cause: error,
          fix: 'build as root: others cannot make devices',
        });
      }
    }
  }

  /** Parents of destinations, where there is nothing. */
  #makeDirectories(plan: Pick<CopyPlan, 'directories'>): void {
    for (const directory of plan.directories) {
      const path = resolveIn(this.#root, directory);
      const stats = path === undefined ? undefined : statAt(this.#root, path);
      if (stats?.isDirectory() === true) continue;
      if (path === undefined || stats !== undefined)
        throw this.#error(`/${fromRaw(directory)} is not a directory in the image`);
      mkdirSync(pathAt(this.#root, path), { mode: 0o755 });
      const { uid, gid } = this.#owner ?? { uid: 0, gid: 0 };
      withOwner(
        () => `/${fromRaw(path)}`,
        uid,
        () => lchownSync(pathAt(this.#root, path), uid, gid),
      );
    }
  }

  /** Where a target really is. What is in the way of it is removed; a directory is made. */
  #place(target: RawPath, isDirectory: boolean): RawPath {
    const path = joinRaw(this.#parent(target), baseName(target));
    const file = pathAt(this.#root, path);
    const stats = statAt(this.#root, path);
    if (stats === undefined) {
      if (isDirectory) mkdirSync(file, { mode: 0o755 });
      return path;
    }
    if (isDirectory && stats.isDirectory()) return path;
    if (isDirectory || stats.isDirectory()) {
      const [is, wanted] = isDirectory ? ['no directory', 'a directory'] : ['a directory', 'none'];
      throw this.#error(
        `/${fromRaw(target)} is ${is} in the image, and ${wanted} in what is copied`,
      );
    }
    unlinkSync(file);
    return path;
  }

  #parent(target: RawPath): RawPath {
    const parent = parentPath(target);
    let path = this.#resolved.get(parent);
    if (path === undefined) {
      path = resolveIn(this.#root, parent);
      if (path === undefined || statAt(this.#root, path)?.isDirectory() !== true)
        throw this.#error(`/${fromRaw(parent)} is not a directory in the image`);
      this.#resolved.set(parent, path);
    }
    return path;
  }

  #finish(
    path: RawPath,
    type: CopyPlan['entries'][number]['type'],
    metadata: Omit<Parameters<typeof setMetadata>[1], 'path' | 'type'>,
  ): void {
    const mtime = Math.min(metadata.mtime, SOURCE_DATE_EPOCH);
    const mode = this.#mode(metadata.mode, type === 'directory');
    setMetadata(this.#root, { ...metadata, path, type, mode, mtime });
    if (type === 'directory') this.#times.push({ path, time: mtime });
  }

  #mode(mode: number, isDirectory: boolean): number {
    const { chmod } = this.#step;
    return chmod === undefined ? mode : changeMode(chmod, mode, isDirectory);
  }

  async #writeFiles(plan: CopyPlan): Promise<void> {
    const owner = this.#owner ?? { uid: 0, gid: 0 };
    for (const { target, content } of plan.files) {
      const path = this.#place(target, false);
      await writeContent(pathAt(this.#root, path), [Buffer.from(content)]);
      this.#finish(path, 'file', { ...owner, mode: 0o644, mtime: SOURCE_DATE_EPOCH });
    }
  }

  /** What was copied into a directory changed its time. */
  #setTimes(): void {
    for (const { path, time } of this.#times.toReversed())
      lutimesSync(pathAt(this.#root, path), time, time);
  }

  #findOwner(text: string): Owner {
    const accounts = readAccounts((path) => {
      const file = resolveIn(this.#root, path);
      return file === undefined ? '' : readShort(pathAt(this.#root, file));
    });
    const owner = findOwner(text, accounts);
    if (owner !== undefined) return owner;
    throw this.#error(`--chown=${text}: the image has no such user or group`, 'use numbers');
  }

  #error(message: string, fix?: string): LktError {
    const { position } = this.#step;
    return sourceError(
      'BUILD_FAILED',
      this.#file,
      position,
      message,
      fix === undefined ? {} : { fix },
    );
  }
}

/** What of a COPY is not in its plan. */
type CopyFlags = Pick<CopyStep, 'position'> & Partial<Pick<CopyStep, 'chown' | 'chmod'>>;

/** Copying a file of more bytes lets other work go on. */
const LARGE = 1 << 20;

function changed(source: RawPath): LktError {
  return new LktError('IO_FAILED', `${fromRaw(source)} was changed while it was copied`, {
    fix: 'build again',
  });
}

async function* tee(
  source: AsyncIterable<Uint8Array>,
  digester: Digester,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk);
    yield chunk;
  }
}
