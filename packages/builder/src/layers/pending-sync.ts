import {
  lstatSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestFromHex, digestHex, isErrno } from '@lkt/core';
import { namesIn } from '@lkt/oci/files';

/** After this time most data is on disk anyway, and syncing is fast. */
const AGE_MS = 5 * 60_000;

/**
 * Records which layers may not be on disk yet. No layer is synced when it is made, so a system
 * crash may truncate its files. An empty file `<directory>/<boot>/<layer>` marks each until it is
 * known to be on disk. A layer marked in an earlier boot counts as lost until its content was
 * checked.
 */
export class PendingSync {
  readonly #directory: string;
  readonly #own: string;
  #lost: readonly string[] | undefined;

  constructor(directory: string, boot: string = bootId()) {
    this.#directory = directory;
    this.#own = join(directory, boot);
  }

  /** Returns marks that count as those of an earlier boot. */
  ofCopy(): PendingSync {
    return new PendingSync(this.#directory, 'copy');
  }

  /** Marks a layer before it is created. */
  add(layer: Digest): void {
    const path = join(this.#own, digestHex(layer));
    try {
      writeFileSync(path, '');
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      mkdirSync(this.#own, { recursive: true });
      writeFileSync(path, '');
    }
  }

  /** Reports whether the system may have crashed before the layer was on disk. */
  isLost(layer: Digest): boolean {
    this.#lost ??= this.#others();
    return this.#lost.some((boot) => statOf(join(boot, digestHex(layer))) !== undefined);
  }

  /** Checks every layer that may be lost. The caller must hold the only access. */
  async review(look: (layer: Digest) => Promise<void>): Promise<void> {
    for (const boot of this.#others()) {
      for (const name of namesIn(boot)) {
        const layer = digestFromHex(name);
        if (layer !== undefined) await look(layer);
      }
      rmSync(boot, { recursive: true, force: true });
    }
    this.#lost = [];
  }

  get hasLost(): boolean {
    return this.#others().length > 0;
  }

  /**
   * Makes old marks durable. @param sync waits for the disk and reports whether everything is on it
   */
  async settle(sync: () => Promise<boolean>): Promise<void> {
    const names = namesIn(this.#own);
    const old = Date.now() - AGE_MS;
    if (!names.some((name) => (statOf(join(this.#own, name))?.mtimeMs ?? old) < old)) return;
    if (!(await sync())) return;
    for (const name of names) rmSync(join(this.#own, name), { force: true });
    try {
      rmdirSync(this.#own);
    } catch (error) {
      // More layers were marked meanwhile.
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error;
    }
  }

  #others(): readonly string[] {
    return namesIn(this.#directory)
      .map((name) => join(this.#directory, name))
      .filter((path) => path !== this.#own);
  }
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
