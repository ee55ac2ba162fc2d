import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, digestHex, isErrno } from '@lkt/core';
import { removeTree, type Store } from '@lkt/oci';
import { PendingSync } from './pending-sync.ts';

/**
 * Unpacked layers in the store, as overlay file systems take them: `layers/<owner>/<diffID>`. Whiteouts are character
 * devices 0/0; nothing in a directory is there that is not in the layer's archive, and the other way round.
 *
 * Whoever is root in a user namespace sees other owners in a directory than root of the machine does, so each has its
 * own: `owner` is the user id, with `+` when further ids are mapped.
 */
export class LayerDirs {
  readonly dir: string;
  readonly #store: Store;
  readonly #pendingSync: PendingSync;

  /** @param dir where they are kept, in the file system of the store */
  constructor(store: Store, owner: string, dir: string = store.dir) {
    this.#store = store;
    this.dir = join(dir, 'layers', owner);
    this.#pendingSync = new PendingSync(join(dir, 'unsettled', owner));
  }

  /**
   * Nobody else may enter: a layer can hold device nodes, and programs that are setuid.
   * @param isWhole looks at what a crash of the machine may have cut short
   */
  async create(isWhole: IsWhole): Promise<void> {
    await mkdir(dirname(this.dir), { recursive: true });
    await mkdir(this.dir, { mode: 0o700 }).catch((error: unknown) => {
      if (!isErrno(error, 'EEXIST')) throw error;
    });
    await this.#removeLost(isWhole);
  }

  path(diffId: Digest): string {
    return join(this.dir, digestHex(diffId));
  }

  /** Whether it is there; then it stays while this process lives. */
  async has(diffId: Digest): Promise<boolean> {
    return !this.#pendingSync.isLost(diffId) && this.#store.use(this.path(diffId));
  }

  /** Makes a finished directory the one of this layer, unless there is one already; then it stays where it is. */
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

  /** Has what was made a while ago count after a crash of the machine too. @param sync as of `PendingSync` */
  async settle(sync: () => Promise<boolean>): Promise<void> {
    await this.#pendingSync.settle(sync);
  }

  /** Removes what a crash of the machine has cut short. */
  async #removeLost(isWhole: IsWhole): Promise<void> {
    if (!this.#pendingSync.hasLost) return;
    await this.#store.withLock('unsettled', async () =>
      this.#pendingSync.review(async (layer) => {
        if (!(await isWhole(this.path(layer), layer))) await removeTree(this.path(layer));
      }),
    );
  }
}

/** Whether a directory is what a layer says. */
export type IsWhole = (directory: string, layer: Digest) => Promise<boolean>;
