import { lstat, lutimes, mkdir, readdir, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, LktError } from '@lkt/core';
import { storeError } from './fs-error.ts';
import { lockHolder, withLockAt } from './lock.ts';
import { type OwnerToken, ownerState, ownerToken, pidOf, sameOwner } from './owner.ts';

/** How the names of the marks start. */
export const WRITER_PREFIX = 'writer-';
/** Age at which the mark of a writer that cannot be seen (another container) no longer counts. */
const FOREIGN_MS = 3600 * 1000;
/** How often a process says that it is still there. */
const HEARTBEAT_MS = 60 * 1000;

/**
 * Keeps garbage collection away from processes that use the store: what they have written is named only later, and what
 * they have found must stay.
 *
 * A process marks itself, then looks for a collection and waits for its end; a collection takes its lock, then looks for
 * marks. Whichever order these happen in, one sees the other. A mark is a symbolic link: its name says whose it is, its
 * time of change when that process began, and its time of access when it was last known to be there.
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

  /**
   * Waits until nobody collects. What was found and marked as used before is there afterwards only if it is
   * found again. False when there was nothing to wait for.
   */
  async settled(): Promise<boolean> {
    if (lockHolder(this.#collection) === undefined) return false;
    while (lockHolder(this.#collection) !== undefined) await sleep(20);
    return true;
  }

  /**
   * Runs while no other process begins to use the store or to use another part of it. Those that do already are given
   * as the time since which they may have used something; undefined when there are none.
   */
  async collect<T>(
    run: (since: number | undefined) => Promise<T>,
    timeoutMs = 600_000,
  ): Promise<T> {
    return withLockAt(
      this.#collection,
      async () => {
        const others = await this.#otherWriters();
        const starts = others.map(({ start }) => start);
        return run(others.length === 0 ? undefined : Math.min(...starts));
      },
      { timeoutMs },
    );
  }

  /** Runs while no other process writes. @throws LktError CACHE_LOCKED when one does. */
  async exclude<T>(run: () => Promise<T>): Promise<T> {
    return withLockAt(this.#collection, async () => {
      const other = (await this.#otherWriters())[0]?.token;
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
    const path = join(this.#dir, WRITER_PREFIX + token);
    const start = Date.now() / 1000;
    await symlink(token, path);
    setInterval(() => {
      lutimes(path, Date.now() / 1000, start).catch(() => undefined);
    }, HEARTBEAT_MS).unref();
    while (lockHolder(this.#collection) !== undefined) await sleep(20);
  }

  async #otherWriters(): Promise<readonly { token: OwnerToken; start: number }[]> {
    const names = await readdir(this.#dir);
    const here = ownerToken();
    const found: { token: OwnerToken; start: number }[] = [];
    for (const name of names.filter((item) => item.startsWith(WRITER_PREFIX))) {
      const path = join(this.#dir, name);
      const token = name.slice(WRITER_PREFIX.length);
      if (sameOwner(token, here)) continue;
      const stats = await lstat(path).catch(() => undefined);
      if (stats === undefined) continue;
      const state = ownerState(token);
      const seen = Math.max(stats.atimeMs, stats.mtimeMs);
      if (state === 'alive' || (state === 'unknown' && Date.now() - seen < FOREIGN_MS)) {
        found.push({ token, start: stats.mtimeMs });
        continue;
      }
      await unlink(path).catch((error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error;
      });
    }
    return found;
  }
}
