import {
  lstatSync,
  lutimesSync,
  mkdirSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { isErrno } from '@lkt/core';
import { fromRaw, parentPath, type RawPath } from '@lkt/oci';
import { pathAt, statAt, textPathAt } from './raw-fs.ts';
import { resolveIn } from './rooted.ts';

/** Why something cannot be mounted where the Dockerfile wants it. */
export class MountPointError extends Error {}

/**
 * Mount points the sandbox needs in the image for a while. What is made is removed afterwards, and the directories it
 * was made in get their time back, so that it leaves no trace in the layer.
 */
export class MountPoints {
  readonly #root: string;
  readonly #made: Made[] = [];
  readonly #taken = new Set<RawPath>();

  /** @param root where the file system of the image is mounted. */
  constructor(root: string) {
    this.#root = root;
  }

  /** /dev, /proc or /sys, which must not be a link. Where it is missing it is made for good, as runc does. */
  makeKernelDirectory(name: string): void {
    const stats = statAt(this.#root, name);
    if (stats === undefined) mkdirSync(pathAt(this.#root, name), { mode: 0o755 });
    else if (!stats.isDirectory()) throw new MountPointError(`/${name} is not a directory`);
    this.#taken.add(name);
  }

  /**
   * @returns where the mount point really is, from the root of the image.
   * @throws MountPointError when it cannot be one, or is inside another.
   */
  make(path: RawPath, isFile: boolean): string {
    const shown = `/${fromRaw(path)}`;
    const real = resolveIn(this.#root, path);
    if (real === undefined || real === '') throw new MountPointError(`${shown} is not a directory`);
    const text = textPathAt('', real);
    if (text === undefined) throw new MountPointError(`${shown} leads to a name that is not UTF-8`);
    for (const parent of [...parents(real), real])
      if (this.#taken.has(parent))
        throw new MountPointError(`${shown} is inside of another mount, /${fromRaw(parent)}`);
    const stats = statAt(this.#root, real);
    if (stats !== undefined && stats.isDirectory() === isFile)
      throw new MountPointError(`${shown} is ${isFile ? 'a directory' : 'no directory'}`);
    for (const parent of parents(real))
      if (statAt(this.#root, parent) === undefined) this.#make(parent, false);
    if (stats === undefined) this.#make(real, isFile);
    this.#taken.add(real);
    return text;
  }

  remove(): void {
    for (const made of this.#made.toReversed()) {
      const { path, before, changed } = made;
      const parent = parentPath(path);
      // The command may have put links where directories were; nothing is done through them.
      if (resolveIn(this.#root, path, false) !== path) continue;
      const now = statAt(this.#root, parent);
      if (now === undefined || !this.#removeOne(made)) continue;
      // A time that the command has changed is its own.
      const time = now.mtimeMs === changed ? before : now;
      lutimesSync(pathAt(this.#root, parent), time.atimeMs / 1000, time.mtimeMs / 1000);
    }
  }

  /** Whether it was still as it was made. */
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

interface Made {
  readonly path: RawPath;
  readonly isFile: boolean;
  /** What its directory was before. */
  readonly before: Stats;
  /** The time its directory had when it was made. */
  readonly changed: number;
}

/** The directories above a path, the outermost first, without the root. */
function parents(path: RawPath): RawPath[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
