/** Lets so many run at a time, and the others wait in line. */
export class Limit {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/**
 * Runs all, and throws the first failure once all have ended; what has not ended is told to by the signal.
 */
export async function all<T>(
  items: readonly T[],
  outer: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([stop.signal, outer]);
  const failures: unknown[] = [];
  await Promise.all(
    items.map(async (item) => {
      try {
        await work(item, signal);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }),
  );
  outer?.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
