import { lstatSync, mkdirSync, rmdirSync, type Stats, unlinkSync, writeFileSync } from 'node:fs';
import { isErrno } from '@lkt/core';
import { fromRaw, parentPath, type RawPath } from '@lkt/oci';
import { parentsOf } from '@lkt/dockerfile';
import { joinRaw, pathAt, statAt, textPathAt } from '../system/raw-fs.ts';
import { DEVICE_NAMES } from '../sandbox/sandbox.ts';
import { resolveIn } from '../system/rooted.ts';
import { setTime } from '../system/set-time.ts';

/** The reason why a mount point cannot be made where the Dockerfile wants it. */
export class MountPointError extends Error {}

/**
 * Temporary mount points of a sandbox in the file system of the image. `remove` removes those that
 * were made and restores the times of their directories, so that the layer shows no trace of them.
 */
export class MountPoints {
  readonly #root: string;
  readonly #at: string;
  readonly #readOnly: boolean;
  readonly #made: Made[] = [];
  readonly #taken = new Map<RawPath, MountPoints | 'empty' | 'closed'>();

  /**
   * @param root the mounted file system of the image, or the source of the mount at `at`
   * @param readOnly forbids making mount points in it
   */
  constructor(root: string, at = '', readOnly = false) {
    this.#root = root;
    this.#at = at;
    this.#readOnly = readOnly;
  }

  /**
   * Makes /dev, /proc or /sys. A missing one stays in the image, as with runc; a link is rejected.
   * Mounts may be in /dev, which is new for each command, but not over its entries.
   */
  makeKernelDirectory(name: string): void {
    const stats = statAt(this.#root, name);
    if (stats === undefined) mkdirSync(pathAt(this.#root, name), { mode: 0o755 });
    else if (!stats.isDirectory()) throw new MountPointError(`/${name} is not a directory`);
    this.#taken.set(name, name === 'dev' ? 'empty' : 'closed');
    if (name === 'dev') for (const own of DEVICE_NAMES) this.#taken.set(`dev/${own}`, 'closed');
  }

  /**
   * Returns the real location of a mount point, from the root of the image, and makes it if needed.
   * `isMissing` is true for one in a mount that does not exist yet: the init makes it there.
   * @param holds the content of the mount
   * @throws MountPointError
   */
  make(path: RawPath, isFile: boolean, holds: Holds = 'closed'): MountPoint {
    const around = this.#around(path);
    if (around !== undefined) return this.#makeInside(around, path, isFile, holds);
    const shown = this.#show(path);
    const real = resolveIn(this.#root, path);
    if (real === undefined || real === '') throw new MountPointError(`${shown} is not a directory`);
    const text = textPathAt('', real);
    if (text === undefined) throw new MountPointError(`${shown} leads to a name that is not UTF-8`);
    const stats = statAt(this.#root, real);
    if (stats !== undefined && stats.isDirectory() === isFile)
      throw new MountPointError(`${shown} is ${isFile ? 'a directory' : 'not a directory'}`);
    if (stats === undefined && this.#readOnly)
      throw new MountPointError(`${shown} does not exist, and ${this.#at} is mounted read-only`);
    for (const parent of parentsOf(real))
      if (statAt(this.#root, parent) === undefined) this.#make(parent, false);
    if (stats === undefined) this.#make(real, isFile);
    const target = this.#at + text;
    this.#taken.set(
      real,
      typeof holds === 'string' ? holds : new MountPoints(holds.source, target, holds.readOnly),
    );
    return {
      target,
      isMissing: false,
      mode: stats === undefined ? undefined : stats.mode & 0o7777,
    };
  }

  /** Returns the mount that contains a path, and the rest of the path from there. */
  #around(path: RawPath): { readonly real: RawPath; readonly rest: RawPath } | undefined {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count += 1) {
      const real = resolveIn(this.#root, parts.slice(0, count).join('/'));
      if (real === undefined) return undefined;
      // A link may lead into a mount.
      const found = [...parentsOf(real), real].find((parent) => this.#taken.has(parent));
      if (found === undefined) continue;
      const below = real === found ? [] : [real.slice(found.length + 1)];
      return { real: found, rest: [...below, ...parts.slice(count)].join('/') };
    }
    return undefined;
  }

  #makeInside(
    { real, rest }: { readonly real: RawPath; readonly rest: RawPath },
    path: RawPath,
    isFile: boolean,
    holds: Holds,
  ): MountPoint {
    const inner = this.#taken.get(real);
    if (rest !== '' && inner instanceof MountPoints) return inner.make(rest, isFile, holds);
    const whole = joinRaw(real, rest);
    const closed = [...parentsOf(whole), whole].find(
      (each) => this.#taken.has(each) && !(each === real && inner === 'empty'),
    );
    if (rest === '' || closed !== undefined) {
      const where = this.#show(closed ?? real);
      throw new MountPointError(`${this.#show(path)} is inside another mount, ${where}`);
    }
    this.#taken.set(whole, 'closed');
    return { target: this.#show(whole), isMissing: true };
  }

  #show(path: RawPath): string {
    return `${this.#at}/${fromRaw(path)}`;
  }

  remove(): void {
    for (const taken of this.#taken.values()) if (taken instanceof MountPoints) taken.remove();
    for (const made of this.#made.toReversed()) {
      const { path, before, changed } = made;
      const parent = parentPath(path);
      // The command may have replaced directories by links, which must not be followed.
      if (resolveIn(this.#root, path, false) !== path) continue;
      const now = statAt(this.#root, parent);
      if (now === undefined || !this.#removeOne(made)) continue;
      // A time that the command has set stays.
      const time = now.mtimeMs === changed ? before : now;
      setTime(pathAt(this.#root, parent), time.mtimeMs / 1000);
    }
  }

  /** Removes a mount point. Returns false if it is no longer as it was made. */
  #removeOne({ path, isFile }: Made): boolean {
    const file = pathAt(this.#root, path);
    const stats = statAt(this.#root, path);
    if (stats === undefined || stats.isDirectory() === isFile) return false;
    if (isFile && !(stats.isFile() && stats.size === 0)) return false;
    try {
      if (isFile) unlinkSync(file);
      else rmdirSync(file);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY')) return false;
      throw error;
    }
  }

  #make(path: RawPath, isFile: boolean): void {
    const parent = pathAt(this.#root, parentPath(path));
    const before = lstatSync(parent);
    const file = pathAt(this.#root, path);
    if (isFile) writeFileSync(file, '', { mode: 0o644 });
    else mkdirSync(file, { mode: 0o755 });
    this.#made.push({ path, isFile, before, changed: lstatSync(parent).mtimeMs });
  }
}

export interface MountPoint {
  readonly target: string;
  readonly isMissing: boolean;
  /** Permissions of one that exists in the image. */
  readonly mode?: number;
}

/**
 * The content of a mount, as far as mounts inside it depend on it: a tree that only this step uses,
 * a file system that begins empty, or one in which no other mount is allowed.
 */
export type Holds = { readonly source: string; readonly readOnly: boolean } | 'empty' | 'closed';

interface Made {
  readonly path: RawPath;
  readonly isFile: boolean;
  /** Attributes of its directory before. */
  readonly before: Stats;
  /** Modification time of its directory after it was made. */
  readonly changed: number;
}
