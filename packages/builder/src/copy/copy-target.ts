import { closeSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { type Digester, isErrno, type LktError, type SourceFile, sourceError } from '@lkt/core';
import {
  baseName,
  type Entry,
  fromRaw,
  parentPath,
  type RawPath,
  SOURCE_DATE_EPOCH,
} from '@lkt/oci';
import type { CopyPlan, CopyStep } from '@lkt/dockerfile';
import { writeChunks } from '../layers/create-entry.ts';
import { setMetadata, setNewMetadata } from '../layers/extract.ts';
import { changeMode } from './file-mode.ts';
import { accountsIn } from './accounts.ts';
import { findOwner, type Owner } from './owners.ts';
import { joinRaw, pathAt, statAt } from '../system/raw-fs.ts';
import { makeDirectories, resolveIn } from '../system/rooted.ts';
import { setTime } from '../system/set-time.ts';

const ROOT: Owner = { uid: 0, gid: 0 };

/**
 * A mounted file system that files are copied into, with BuildKit's semantics. Symbolic links in
 * the directory part of a destination resolve within it. A non-directory is replaced, never written
 * through. An existing directory takes mode and owner of the copied one, except for the destination
 * itself.
 */
export class CopyTarget {
  readonly root: string;
  /** The owner given by --chown. */
  readonly owner: Owner | undefined;
  readonly signal: AbortSignal | undefined;
  readonly #file: SourceFile;
  readonly #step: CopyFlags;
  readonly #resolved = new Map<RawPath, RawPath>();
  readonly #times: { readonly path: RawPath; readonly time: number }[] = [];

  /**
   * @param root the mount point
   * @throws LktError BUILD_FAILED when --chown names an owner that the image does not have
   */
  constructor(root: string, step: CopyFlags, file: SourceFile, signal?: AbortSignal) {
    this.root = root;
    this.#step = step;
    this.#file = file;
    this.signal = signal;
    this.owner = step.chown === undefined ? undefined : this.#findOwner(step.chown);
  }

  /** Creates the missing parents of destinations. */
  makeDirectories(plan: Pick<CopyPlan, 'directories'>): void {
    for (const directory of plan.directories) {
      const path = resolveIn(this.root, directory);
      if (path === undefined || statAt(this.root, path)?.isDirectory() === false)
        throw this.error(`/${fromRaw(directory)} is not a directory in the image`);
      makeDirectories(this.root, path, this.owner ?? ROOT);
    }
  }

  /**
   * Returns the real path of a target. Removes what is in its way, and creates it if it is a
   * directory.
   */
  place(target: RawPath, isDirectory: boolean): RawPath {
    const path = joinRaw(this.#parent(target), baseName(target));
    const file = pathAt(this.root, path);
    const stats = statAt(this.root, path);
    if (stats === undefined) {
      if (isDirectory) mkdirSync(file, { mode: 0o755 });
      return path;
    }
    if (isDirectory && stats.isDirectory()) return path;
    if (isDirectory || stats.isDirectory()) {
      const [is, copied] = isDirectory ? ['is not', 'is'] : ['is', 'is not'];
      throw this.error(
        `/${fromRaw(target)} ${is} a directory in the image, but its source ${copied}`,
      );
    }
    unlinkSync(file);
    return path;
  }

  /**
   * Sets mode, owner, time and extended attributes, as far as flags do not override them. The
   * defaults are owner root and time SOURCE_DATE_EPOCH.
   */
  finish(
    path: RawPath,
    type: CopyPlan['entries'][number]['type'],
    metadata: Pick<Entry, 'mode'> & Partial<Pick<Entry, 'uid' | 'gid' | 'mtime' | 'xattrs'>>,
  ): void {
    const mtime = Math.min(metadata.mtime ?? SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
    const mode = this.#mode(metadata.mode, type === 'directory');
    setMetadata(this.root, { ...ROOT, ...metadata, ...this.owner, path, type, mode, mtime });
    if (type === 'directory') this.#times.push({ path, time: mtime });
  }

  /** Makes a file, as `place` and `finish` do, with fewer system calls. */
  async writeFile(target: RawPath, { content, mode: given, digester }: NewFile): Promise<void> {
    const mode = this.#mode(given, false);
    const path = joinRaw(this.#parent(target), baseName(target));
    const descriptor = this.#create(path, target, mode & 0o777);
    try {
      await writeChunks(descriptor, content, digester);
      const metadata = { ...ROOT, ...this.owner, mode, mtime: SOURCE_DATE_EPOCH };
      setNewMetadata(descriptor, this.root, { ...metadata, path, type: 'file' });
    } finally {
      closeSync(descriptor);
    }
  }

  /** Creates a file and opens it. Only if something is in its way, its target is placed first. */
  #create(path: RawPath, target: RawPath, mode: number): number {
    try {
      return openSync(pathAt(this.root, path), 'wx', mode);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      return openSync(pathAt(this.root, this.place(target, false)), 'wx', mode);
    }
  }

  /** Writes the here-documents of a COPY. */
  async writeFiles(plan: CopyPlan): Promise<void> {
    for (const { target, content } of plan.files) {
      await this.writeFile(target, { content: [Buffer.from(content)], mode: 0o644 });
    }
  }

  /** Sets the times of directories last, since copying into them changes them. */
  setTimes(): void {
    for (const { path, time } of this.#times.toReversed()) setTime(pathAt(this.root, path), time);
  }

  /** Returns an error at the instruction. */
  error(
    message: string,
    details: { readonly fix?: string; readonly cause?: unknown } = {},
    code: LktError['code'] = 'BUILD_FAILED',
  ): LktError {
    return sourceError(code, this.#file, this.#step.position, message, details);
  }

  #parent(target: RawPath): RawPath {
    const parent = parentPath(target);
    let path = this.#resolved.get(parent);
    if (path === undefined) {
      path = resolveIn(this.root, parent);
      if (path === undefined || statAt(this.root, path)?.isDirectory() !== true)
        throw this.error(`/${fromRaw(parent)} is not a directory in the image`);
      this.#resolved.set(parent, path);
    }
    return path;
  }

  #mode(mode: number, isDirectory: boolean): number {
    const { chmod } = this.#step;
    return chmod === undefined ? mode : changeMode(chmod, mode, isDirectory);
  }

  #findOwner(text: string): Owner {
    const owner = findOwner(text, accountsIn(this.root));
    if (owner !== undefined) return owner;
    throw this.error(`--chown=${text}: the image has no such user or group`, {
      fix: 'use numbers',
    });
  }
}

/** A file to make. */
interface NewFile {
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Without --chmod. */
  readonly mode: number;
  /** Hashes the content. */
  readonly digester?: Digester;
}

/** The parts of a COPY that its plan does not hold. */
type CopyFlags = Pick<CopyStep, 'position'> & Partial<Pick<CopyStep, 'chown' | 'chmod'>>;
