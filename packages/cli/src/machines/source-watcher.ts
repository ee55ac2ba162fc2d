import { existsSync, fstatSync, type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, LktError } from '@lkt/core';

/** Editors write several files for one save. */
const SETTLE_MS = 50;

/** Backup and swap files of editors, and git's own. */
const NOISE = /^\.git$|^\.#|~$|\.sw[a-z]?$|^4913$/;

/** A watched directory, which is not the one of this path once that was replaced. */
interface Watched {
  readonly watcher: FSWatcher;
  readonly inode: bigint | undefined;
}

/** Watches directories for changes. */
export class SourceWatcher implements Disposable {
  readonly #watched = new Map<string, Watched>();
  readonly #ignored: string;
  #change = Promise.withResolvers<void>();

  /** @param ignored a directory whose changes do not count: the output */
  constructor(ignored: string) {
    this.#ignored = ignored;
  }

  /**
   * Watches these directories, and no others: for a missing one, that in which it would appear. One
   * that was replaced is watched from the next call on.
   * @param dirs absolute paths
   * @throws LktError HOST_UNSUPPORTED if the system permits too few watches
   */
  watch(dirs: Iterable<string>): void {
    const wanted = new Set([...dirs].map(nearestExisting).filter((dir) => !this.#isIgnored(dir)));
    for (const [dir, { inode }] of this.#watched)
      if (!wanted.has(dir) || inode !== inodeOf(dir)) this.#remove(dir);
    for (const dir of wanted) if (!this.#watched.has(dir)) this.#add(dir);
  }

  /**
   * Resolves after the next change, or at once if one happened since the last call.
   * @throws the reason of the signal
   */
  async next(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    const abort = (): void => aborted.resolve();
    signal.addEventListener('abort', abort);
    try {
      if (!signal.aborted) await Promise.race([this.#change.promise, aborted.promise]);
      signal.throwIfAborted();
      await sleep(SETTLE_MS);
    } finally {
      signal.removeEventListener('abort', abort);
    }
    this.#change = Promise.withResolvers();
  }

  [Symbol.dispose](): void {
    for (const dir of this.#watched.keys()) this.#remove(dir);
  }

  #add(dir: string): void {
    try {
      const inode = inodeOf(dir);
      const watcher = watch(dir, (_, name) => {
        // The directory itself was removed or moved; a new one may have its inode.
        if (name === basename(dir)) this.#remove(dir);
        if (name !== null && (NOISE.test(name) || this.#isIgnored(join(dir, name)))) return;
        if (name !== null && isOwnOutput(join(dir, name))) return;
        this.#change.resolve();
      });
      watcher.on('error', () => this.#remove(dir));
      this.#watched.set(dir, { watcher, inode });
    } catch (cause) {
      if (isErrno(cause, 'ENOENT', 'ENOTDIR', 'EACCES')) return;
      if (!isErrno(cause, 'ENOSPC', 'EMFILE')) throw cause;
      throw new LktError(
        'HOST_UNSUPPORTED',
        'this user has reached the limit of watched directories',
        {
          cause,
          fix: 'run: sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512',
        },
      );
    }
  }

  #remove(dir: string): void {
    this.#watched.get(dir)?.watcher.close();
    this.#watched.delete(dir);
  }

  #isIgnored(path: string): boolean {
    const inside = relative(this.#ignored, path);
    return inside === '' || !inside.startsWith('..');
  }
}

/** Reports whether a file gets the output of this process, so that each message changes it. */
function isOwnOutput(path: string): boolean {
  const inode = inodeOf(path);
  return inode !== undefined && OUTPUTS.some((output) => fstatSync(output, BIG).ino === inode);
}

/** Standard output and standard error. */
const OUTPUTS = [1, 2];
const BIG = { bigint: true } as const;

/** Returns the number of a file in its file system; undefined if it is missing. */
function inodeOf(dir: string): bigint | undefined {
  try {
    return statSync(dir, BIG).ino;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw error;
  }
}

/** Returns a directory, or else the nearest above it that exists. */
function nearestExisting(dir: string): string {
  let path = dir;
  while (!existsSync(path)) path = dirname(path);
  return path;
}
