import { lstat, mkdir, readdir, readlink, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, LktError } from '@lkt/core';
import { storeError } from './fs-error.ts';
import { lockHolder, withLockAt } from './lock.ts';
import { type OwnerToken, ownerState, ownerToken, pidOf, sameOwner } from './owner.ts';

/** How the names of the marks start. */
export const WRITER = 'writer-';
/** Age at which the mark of a writer that cannot be seen (another container) no longer counts. */
const FOREIGN_MS = 3600 * 1000;

/**
 * Keeps garbage collection away from processes that write: what they have written is named only later.
 *
 * A process marks itself as a writer, then looks for a collection and waits for its end; a collection takes its lock,
 * then looks for marks. Whichever order these happen in, one sees the other.
 */
export class Writers {
  readonly #dir: string;
  readonly #collection: string;
  #entering: Promise<void> | undefined;

  constructor(locks: string) {
    this.#dir = locks;
    this.#collection = join(locks, 'gc.lock');
  }

  /** Marks this process as a writer for as long as it lives. */
  async enter(signal?: AbortSignal): Promise<void> {
    this.#entering ??= this.#mark().catch((error: unknown) => {
      this.#entering = undefined;
      throw storeError('cannot write into the store', error);
    });
    await this.#entering;
    signal?.throwIfAborted();
  }

  /** Runs while no other process writes. @throws LktError CACHE_LOCKED when one does. */
  async exclude<T>(run: () => Promise<T>): Promise<T> {
    return withLockAt(this.#collection, async () => {
      const other = await this.#otherWriter();
      if (other === undefined) return run();
      throw new LktError(
        'CACHE_LOCKED',
        `process ${pidOf(other)} is writing into the store, and its blobs have no names yet`,
        {
          fix:
            ownerState(other) === 'alive'
              ? 'run this again when it has ended'
              : 'run this again when it has ended; it is in another container, and counts for an hour if it was killed',
        },
      );
    });
  }

  async #mark(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const token = ownerToken();
    await symlink(token, join(this.#dir, WRITER + token));
    while ((await lockHolder(this.#collection)) !== undefined) await sleep(50);
  }

  async #otherWriter(): Promise<OwnerToken | undefined> {
    const names = await readdir(this.#dir);
    const here = ownerToken();
    for (const name of names.filter((item) => item.startsWith(WRITER))) {
      const path = join(this.#dir, name);
      const token = await readlink(path).catch(() => '');
      if (sameOwner(token, here)) continue;
      const state = ownerState(token);
      if (state === 'alive') return token;
      if (state === 'unknown' && (await isRecent(path))) return token;
      await unlink(path).catch((error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error;
      });
    }
    return undefined;
  }
}

async function isRecent(path: string): Promise<boolean> {
  return lstat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs < FOREIGN_MS,
    () => false,
  );
}
