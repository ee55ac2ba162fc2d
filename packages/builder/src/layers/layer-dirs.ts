import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Digest,
  digestFromHex,
  digestHex,
  isErrno,
  undefinedIf,
  writeFileAtomic,
} from '@lkt/core';
import { removeTree, type Store } from '@lkt/oci';
import { namesIn } from '@lkt/oci/files';
import { PendingSync } from './pending-sync.ts';

/**
 * Unpacked layers in the store, in overlayfs form: `layers/<owner>/<diffID>`. A whiteout is a
 * character device 0/0. A directory holds exactly the entries of the layer's archive.
 *
 * Root of a user namespace sees other owners than root of the host, so each has its own
 * directories: `owner` names the mapping of ids (namespace.ts).
 */
export class LayerDirs {
  readonly dir: string;
  readonly #store: Store;
  readonly #pendingSync: PendingSync;
  /** A file with the inode of the directory of the layers. */
  readonly #place: string;

  /** @param dir where the layers are kept, on the file system of the store */
  constructor(store: Store, owner: string, dir: string = store.dir) {
    this.#store = store;
    this.dir = join(dir, 'layers', owner);
    this.#pendingSync = new PendingSync(join(dir, 'unsettled', owner));
    this.#place = join(dir, 'places', owner);
  }

  /**
   * Creates the directory with mode 700: a layer can hold device nodes and setuid programs.
   * @param isWhole checks a layer that a system crash may have truncated, or a copy of the store
   *   changed
   */
  async create(isWhole: IsWhole): Promise<void> {
    await mkdir(dirname(this.dir), { recursive: true });
    await mkdir(this.dir, { mode: 0o700 }).catch(undefinedIf('EEXIST'));
    await this.#markCopies();
    await this.#removeLost(isWhole);
  }

  path(diffId: Digest): string {
    return join(this.dir, digestHex(diffId));
  }

  /** Reports whether a layer exists. It stays while this process lives. */
  async has(diffId: Digest): Promise<boolean> {
    return !this.#pendingSync.isLost(diffId) && this.#store.use(this.path(diffId));
  }

  /** Moves a finished directory into place as a layer, unless the layer exists already. */
  async publish(directory: string, diffId: Digest): Promise<void> {
    this.#pendingSync.add(diffId);
    do {
      try {
        await rename(directory, this.path(diffId));
        return;
      } catch (error) {
        if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
      }
    } while (!(await this.has(diffId)));
  }

  /** Makes layers written a while ago durable. @param sync as in `PendingSync` */
  async settle(sync: () => Promise<boolean>): Promise<void> {
    await this.#pendingSync.settle(sync);
  }

  /**
   * Marks all layers for a check if the store is a copy: cp -r, or tar without root, loses owners,
   * hard links and set-user-ID bits, which later steps would see.
   */
  async #markCopies(): Promise<void> {
    const { ino } = await stat(this.dir);
    const known = await readFile(this.#place, 'latin1').catch(undefinedIf('ENOENT'));
    if (known === String(ino)) return;
    if (known !== undefined) {
      const copies = this.#pendingSync.ofCopy();
      for (const name of namesIn(this.dir)) {
        const layer = digestFromHex(name);
        if (layer !== undefined) copies.add(layer);
      }
    }
    await mkdir(dirname(this.#place), { recursive: true });
    await writeFileAtomic(this.#place, String(ino));
  }

  /** Removes layers that a system crash truncated, or a copy changed. */
  async #removeLost(isWhole: IsWhole): Promise<void> {
    if (!this.#pendingSync.hasLost) return;
    await this.#store.withLock('unsettled', async () =>
      this.#pendingSync.review(async (layer) => {
        if (!(await isWhole(this.path(layer), layer))) await removeTree(this.path(layer));
      }),
    );
  }
}

/** Reports whether a directory has the content of a layer. */
export type IsWhole = (directory: string, layer: Digest) => Promise<boolean>;
