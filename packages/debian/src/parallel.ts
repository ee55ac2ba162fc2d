/**
 * Runs `work` on every item, some at a time. After the first failure nothing more is started, what runs is told by
 * its signal, and the failure is thrown once all have ended.
 */
export async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  outer: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal, worker: number) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([stop.signal, outer]);
  const failures: unknown[] = [];
  let next = 0;
  const run = async (worker: number): Promise<void> => {
    try {
      while (next < items.length) {
        signal.throwIfAborted();
        const item = items[next] as T;
        next += 1;
        await work(item, signal, worker);
      }
    } catch (error) {
      failures.push(error);
      stop.abort();
    }
  };
  const workers = Math.min(concurrency, items.length);
  await Promise.all(Array.from({ length: workers }, async (_, worker) => run(worker)));
  outer?.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
