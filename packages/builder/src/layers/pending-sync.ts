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
import { type Digest, digestHex, isDigest, isErrno } from '@lkt/core';
import { namesIn } from '@lkt/oci/files';

/** After so long most is on disk by itself, and waiting for it takes no time. */
const AGE_MS = 5 * 60_000;

/**
 * Which layers may not be whole on disk: nobody waits for the disk when a layer is made, and should the machine crash,
 * files of it may be cut short. An empty file `<directory>/<boot>/<layer>` stands for each until it is known to be on
 * disk. A layer with one of a boot that is over is as good as lost, until its content was looked at.
 */
export class PendingSync {
  readonly #directory: string;
  readonly #own: string;
  #lost: readonly string[] | undefined;

  constructor(directory: string, boot: string = bootId()) {
    this.#directory = directory;
    this.#own = join(directory, boot);
  }

  /** Says that a layer is about to be there. */
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

  /** Whether the machine may have crashed before a layer was on disk. */
  isLost(layer: Digest): boolean {
    this.#lost ??= this.#others();
    return this.#lost.some((boot) => statOf(join(boot, digestHex(layer))) !== undefined);
  }

  /** Has all that may be lost looked at, and removed if it is. Nobody else may be at it. */
  async review(look: (layer: Digest) => Promise<void>): Promise<void> {
    for (const boot of this.#others()) {
      for (const name of namesIn(boot)) {
        const layer = `sha256:${name}`;
        if (isDigest(layer)) await look(layer);
      }
      rmSync(boot, { recursive: true, force: true });
    }
    this.#lost = [];
  }

  get hasLost(): boolean {
    return this.#others().length > 0;
  }

  /** Makes what was noted a while ago count after a crash. @param sync waits for the disk, and says whether all is on it */
  async settle(sync: () => Promise<boolean>): Promise<void> {
    const names = namesIn(this.#own);
    const old = Date.now() - AGE_MS;
    if (!names.some((name) => (statOf(join(this.#own, name))?.mtimeMs ?? old) < old)) return;
    if (!(await sync())) return;
    for (const name of names) rmSync(join(this.#own, name), { force: true });
    try {
      rmdirSync(this.#own);
    } catch (error) {
      // More has come meanwhile.
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
