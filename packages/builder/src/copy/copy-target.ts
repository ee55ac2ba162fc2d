import { lchownSync, lutimesSync, mkdirSync, unlinkSync } from 'node:fs';
import { type LktError, type SourceFile, sourceError } from '@lkt/core';
import { baseName, fromRaw, parentPath, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { CopyPlan, CopyStep } from '@lkt/dockerfile';
import { setMetadata, writeContent } from '../layers/extract.ts';
import { changeMode } from './file-mode.ts';
import { withOwner } from '../system/host-error.ts';
import { findOwner, type Owner, readAccounts, readShort } from './owners.ts';
import { joinRaw, pathAt, statAt } from '../system/raw-fs.ts';
import { resolveIn } from '../system/rooted.ts';

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
      const stats = path === undefined ? undefined : statAt(this.root, path);
      if (stats?.isDirectory() === true) continue;
      if (path === undefined || stats !== undefined)
        throw this.error(`/${fromRaw(directory)} is not a directory in the image`);
      mkdirSync(pathAt(this.root, path), { mode: 0o755 });
      const { uid, gid } = this.owner ?? { uid: 0, gid: 0 };
      withOwner(
        () => `/${fromRaw(path)}`,
        uid,
        () => lchownSync(pathAt(this.root, path), uid, gid),
      );
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

  /** Sets mode, owner, time and extended attributes, as far as flags do not override them. */
  finish(
    path: RawPath,
    type: CopyPlan['entries'][number]['type'],
    metadata: Omit<Parameters<typeof setMetadata>[1], 'path' | 'type'>,
  ): void {
    const mtime = Math.min(metadata.mtime, SOURCE_DATE_EPOCH);
    const mode = this.#mode(metadata.mode, type === 'directory');
    setMetadata(this.root, { ...metadata, path, type, mode, mtime });
    if (type === 'directory') this.#times.push({ path, time: mtime });
  }

  /** Writes the here-documents of a COPY. */
  async writeFiles(plan: CopyPlan): Promise<void> {
    const owner = this.owner ?? { uid: 0, gid: 0 };
    for (const { target, content } of plan.files) {
      const path = this.place(target, false);
      await writeContent(pathAt(this.root, path), [Buffer.from(content)]);
      this.finish(path, 'file', { ...owner, mode: 0o644, mtime: SOURCE_DATE_EPOCH });
    }
  }

  /** Sets the times of directories last, since copying into them changes them. */
  setTimes(): void {
    for (const { path, time } of this.#times.toReversed())
      lutimesSync(pathAt(this.root, path), time, time);
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
    const accounts = readAccounts((path) => {
      const file = resolveIn(this.root, path);
      return file === undefined ? '' : readShort(pathAt(this.root, file));
    });
    const owner = findOwner(text, accounts);
    if (owner !== undefined) return owner;
    throw this.error(`--chown=${text}: the image has no such user or group`, {
      fix: 'use numbers',
    });
  }
}

/** The parts of a COPY that its plan does not hold. */
type CopyFlags = Pick<CopyStep, 'position'> & Partial<Pick<CopyStep, 'chown' | 'chmod'>>;
