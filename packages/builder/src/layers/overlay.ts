import { chmodSync, lchownSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
import { SystemCallError } from '../system/c-library.ts';
import { ALLOW_IN_CONTAINER } from '../system/container-fix.ts';
import { detach, detachLater, mount, MS } from '../system/syscalls.ts';
import { setTime } from '../system/set-time.ts';

/** The kernel's maximum number of lower layers (OVL_MAX_STACK). */
const MAX_LAYERS = 500;

/**
 * Mounts overlays in a directory of its own, which becomes the working directory of the process.
 * mount(2) takes at most a page of options, so layers are named by short links in that directory.
 *
 * Device nodes cannot be opened: a RUN as root of the host may create any. `userxattr` is set for
 * root too, so layers have one form on disk.
 */
export class Overlays {
  readonly #dir: string;
  readonly #links = new Map<Digest, string>();
  readonly #mounted = new Set<string>();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(join(dir, 'l'));
    mkdirSync(join(dir, 'empty'), { mode: 0o755 });
    process.chdir(dir);
  }

  /** An empty directory. */
  get empty(): string {
    return join(this.#dir, 'empty');
  }

  /** Mounts directories of layers read-only, the lowest first. @returns the mount point */
  mountLower(name: string, layers: readonly LayerDir[]): string {
    const target = join(this.#dir, name);
    mkdirSync(target);
    // An overlay without an upper directory needs two lower ones.
    this.#mount(
      target,
      `lowerdir=${[...this.#names(layers), 'empty'].join(':')},userxattr`,
      MS.rdonly | MS.nodev,
    );
    return target;
  }

  /**
   * Mounts layers with a fresh upper directory, which takes owner, mode and time of `lower`, their
   * merged root.
   */
  mountUpper(name: string, layers: readonly LayerDir[], lower: string): UpperMount {
    const base = join(this.#dir, name);
    const [upper, work, root] = ['upper', 'work', 'root'].map((part) => join(base, part));
    if (upper === undefined || work === undefined || root === undefined)
      throw new Error('unreachable');
    for (const path of [base, upper, work, root]) mkdirSync(path, { mode: 0o755 });
    const stats = lstatSync(lower);
    lchownSync(upper, stats.uid, stats.gid);
    chmodSync(upper, stats.mode & 0o7777);
    setTime(upper, stats.mtimeMs / 1000);
    const lowers = layers.length === 0 ? ['empty'] : this.#names(layers);
    // volatile: neither a command's fsync nor unmounting waits for the disk. Layers that may not be
    // on disk are recorded (pending-sync.ts).
    this.#mount(
      root,
      `lowerdir=${lowers.join(':')},upperdir=${name}/upper,workdir=${name}/work,userxattr,volatile`,
      MS.nodev,
    );
    return { root, upper, directory: base };
  }

  async unmountLater(target: string): Promise<void> {
    if (this.#mounted.delete(target)) await detachLater(target);
  }

  unmountAll(): void {
    for (const target of [...this.#mounted].toReversed()) detach(target);
    this.#mounted.clear();
  }

  /**
   * Returns the names of layers from the topmost down, as the option lowerdir takes them. The
   * kernel takes none twice; of equal layers, the topmost covers the others.
   */
  #names(layers: readonly LayerDir[]): string[] {
    if (layers.length > MAX_LAYERS - 1) {
      throw new LktError(
        'UNSUPPORTED',
        `a stage has ${layers.length} layers, and Linux can stack at most ${MAX_LAYERS - 1}`,
        { fix: 'merge some RUN or COPY instructions' },
      );
    }
    const names = layers.toReversed().map(({ diffId, path }) => {
      let name = this.#links.get(diffId);
      if (name === undefined) {
        name = `l/${this.#links.size}`;
        symlinkSync(path, join(this.#dir, name));
        this.#links.set(diffId, name);
      }
      return name;
    });
    return [...new Set(names)];
  }

  #mount(target: string, data: string, flags: number): void {
    try {
      mount('overlay', target, { type: 'overlay', data, flags });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      throw overlayError(error);
    }
    this.#mounted.add(target);
  }
}

export interface LayerDir {
  readonly diffId: Digest;
  readonly path: string;
}

export interface UpperMount {
  /** The mount point of the merged file system. */
  readonly root: string;
  readonly upper: string;
  /** The directory that holds everything. */
  readonly directory: string;
}

function overlayError(cause: SystemCallError): LktError {
  switch (cause.code) {
    case 'ENODEV':
      return new LktError('HOST_UNSUPPORTED', 'this kernel has no overlay file system', {
        cause,
        fix: 'load it as root with: modprobe overlay',
      });
    case 'EPERM':
      return new LktError('HOST_UNSUPPORTED', 'mounting an overlay file system is forbidden here', {
        cause,
        fix: `use Linux 5.12 or later; ${ALLOW_IN_CONTAINER}`,
      });
    default:
      return new LktError(
        'HOST_UNSUPPORTED',
        'the file system of the store cannot be used for overlay mounts',
        { cause, fix: 'put the store on ext4, xfs, btrfs or tmpfs with LKT_CACHE' },
      );
  }
}
