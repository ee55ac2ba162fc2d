import { lstat, lutimes, mkdir, readdir, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from '@lkt/core';
import { lockHolder, withLockAt } from './lock.ts';
import { type OwnerToken, ownerState, ownerToken, sameOwner } from './owner.ts';
import { storeError } from './store-error.ts';

/** Prefix of the names of writer marks. */
export const WRITER_PREFIX = 'writer-';
/** Milliseconds by which clocks of file systems may lag behind the system clock. */
export const CLOCK_SLACK_MS = 2_000;
/** Age in milliseconds at which the mark of an unobservable writer (another container) expires. */
const FOREIGN_MS = 3600 * 1000;
/** Interval in milliseconds at which a process refreshes its mark. */
const HEARTBEAT_MS = 60 * 1000;

/**
 * Coordinates garbage collection with processes that use the store: blobs they have written are not
 * yet tagged, and blobs they have found must stay.
 *
 * A process creates its mark, then waits for a running collection; a collection takes its lock,
 * then reads the marks. In either order, one sees the other. A mark is a symbolic link: its name
 * holds the owner token, its mtime the start of the process, its atime the last sign of life.
 */
export class Writers {
  readonly #dir: string;
  readonly #collection: string;
  #entering: Promise<void> | undefined;

  constructor(locks: string) {
    this.#dir = locks;
    this.#collection = join(locks, 'gc.lock');
  }

  /** Marks this process as a writer for the rest of its life. */
  async enter(signal?: AbortSignal): Promise<void> {
    this.#entering ??= this.#mark().catch((error: unknown) => {
      this.#entering = undefined;
      throw storeError(`cannot write to the store at ${dirname(this.#dir)}`, error);
    });
    await this.#entering;
    signal?.throwIfAborted();
  }

  /**
   * Waits for a running collection to end and returns true; false if no collection runs. Anything
   * found and marked before may be gone and must be looked up again.
   */
  async settled(): Promise<boolean> {
    if (lockHolder(this.#collection) === undefined) return false;
    while (lockHolder(this.#collection) !== undefined) await sleep(20);
    return true;
  }

  /**
   * Runs `run` while no other process starts to use the store, or another part of it.
   * @param run receives the start time of the oldest other writer in milliseconds since 1970;
   * undefined without another writer
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
