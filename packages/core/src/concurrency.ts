/**
 * Lets at most `limit` tasks run at once. Further tasks wait in the order they arrive.
 *
 * @example
 * const semaphore = new Semaphore(4);
 * await Promise.all(urls.map((url) => semaphore.run(() => download(url))));
 */
export class Semaphore {
  readonly limit: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.limit = limit;
    this.#free = limit;
  }

  /** The number of tasks that hold the semaphore. */
  get inUse(): number {
    return this.limit - this.#free;
  }

  /**
   * Waits until fewer than `limit` tasks hold the semaphore. The caller must call `release` once.
   */
  async acquire(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Hands the semaphore to the task that waits longest. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }

  /**
   * Runs a task while holding the semaphore. The task may call `release` before it ends, if its
   * rest does not count.
   */
  async run<T>(task: (release: () => void) => Promise<T>): Promise<T> {
    await this.acquire();
    let isHeld = true;
    const release = (): void => {
      if (isHeld) this.release();
      isHeld = false;
    };
    try {
      return await task(release);
    } finally {
      release();
    }
  }
}

/**
 * Runs tasks with equal keys one after another, within this process. The failure of a task does not
 * affect the next one.
 */
export class KeyedMutex {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs a task after the earlier ones with the same key. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const current = before === undefined ? task() : before.then(task, task);
    this.#last.set(key, current);
    try {
      return await current;
    } finally {
      if (this.#last.get(key) === current) this.#last.delete(key);
    }
  }
}

/**
 * Lends resources, each to one task at a time. Tasks wait in the order they arrive. The resource
 * that was returned last is lent first.
 */
export class ResourcePool<T> {
  readonly #free: T[];
  readonly #semaphore: Semaphore;

  constructor(resources: readonly T[]) {
    this.#free = [...resources];
    this.#semaphore = new Semaphore(resources.length);
  }

  /** Runs a task with a resource of its own. */
  async use<R>(task: (resource: T) => Promise<R>): Promise<R> {
    return this.#semaphore.run(async () => {
      const resource = this.#free.shift() as T;
      try {
        return await task(resource);
      } finally {
        this.#free.unshift(resource);
      }
    });
  }
}

/** Options of {@link mapConcurrent}. */
export interface ConcurrentOptions {
  /** The number of items that are worked on at once; default: all. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the results of `work` for each item, in item order. Items start in order. After the first
 * failure no further item starts and the signal that `work` receives is aborted, with the failure
 * as its reason. Throws once all started items have settled: the reason of `options.signal` if that
 * is aborted, else the failure of the first item in order. Failures that the abort caused do not
 * count.
 * @example
 * ```ts
 * const size = async (path) => (await stat(path)).size;
 * const sizes = await mapConcurrent(paths, size, { concurrency: 8 });
 * ```
 */
export async function mapConcurrent<T, R>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<R>,
  { concurrency = items.length, signal: outer }: ConcurrentOptions = {},
): Promise<readonly R[]> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([stop.signal, outer]);
  const results: R[] = [];
  const failures = new Map<number, unknown>();
  const remaining = items.entries();
  const runner = async (): Promise<void> => {
    while (!signal.aborted) {
      const next = remaining.next();
      if (next.done === true) return;
      const [index, item] = next.value;
      try {
        results[index] = await work(item, signal);
      } catch (error) {
        failures.set(index, error);
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, runner));
  outer?.throwIfAborted();
  if (stop.signal.aborted) {
    const first: unknown = stop.signal.reason;
    for (const index of [...failures.keys()].toSorted((a, b) => a - b)) {
      const failure = failures.get(index);
      if (failure === first || !isCausedBy(failure, first)) throw failure;
    }
  }
  return results;
}

function isCausedBy(error: unknown, reason: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at === reason) return true;
  return false;
}
