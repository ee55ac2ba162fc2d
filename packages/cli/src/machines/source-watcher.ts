import { type FSWatcher, watch } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, LktError } from '@lkt/core';

/** Editors write several files for one save. */
const SETTLE_MS = 50;

/** Backup and swap files of editors, and git's own. */
const NOISE = /^\.git$|^\.#|~$|\.sw[a-z]?$|^4913$/;

/** Watches directories for changes. */
export class SourceWatcher implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #ignored: string;
  #change = Promise.withResolvers<void>();

  /** @param ignored a directory whose changes do not count: the output */
  constructor(ignored: string) {
    this.#ignored = ignored;
  }

  /**
   * Watches these directories, and no others.
   * @param dirs absolute paths
   * @throws LktError HOST_UNSUPPORTED if the system permits too few watches
   */
  watch(dirs: Iterable<string>): void {
    const wanted = new Set([...dirs].filter((dir) => !this.#isIgnored(dir)));
    for (const [dir, watcher] of this.#watchers)
      if (!wanted.has(dir)) {
        watcher.close();
        this.#watchers.delete(dir);
      }
    for (const dir of wanted) if (!this.#watchers.has(dir)) this.#add(dir);
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
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(dir: string): void {
    try {
      const watcher = watch(dir, (_, name) => {
        if (name !== null && (NOISE.test(name) || this.#isIgnored(join(dir, name)))) return;
        this.#change.resolve();
      });
      // The directory was removed.
      watcher.on('error', () => watcher.close());
      this.#watchers.set(dir, watcher);
    } catch (cause) {
      if (isErrno(cause, 'ENOENT', 'ENOTDIR', 'EACCES')) return;
      if (!isErrno(cause, 'ENOSPC', 'EMFILE')) throw cause;
      throw new LktError('HOST_UNSUPPORTED', 'this user may not watch more directories', {
        cause,
        fix: 'run: sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512',
      });
    }
  }

  #isIgnored(path: string): boolean {
    const inside = relative(this.#ignored, path);
    return inside === '' || !inside.startsWith('..');
  }
}
