import { availableParallelism } from 'node:os';

/** Node does so many things at once beside its own thread; each also costs memory. */
const MOST = 4;

/**
 * What `run` gives for each of the items, in their order; a few run at once, begun in their order. After an error
 * nothing more begins, and when all that has begun is over the error of the first item that has one is thrown.
 */
export async function someAtOnce<T, R>(
  items: readonly T[],
  run: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Map<number, R>();
  const errors = new Map<number, unknown>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length && errors.size === 0) {
      const index = next;
      next += 1;
      try {
        results.set(index, await run(items[index] as T));
      } catch (error) {
        errors.set(index, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(MOST, availableParallelism()) }, work));
  for (const index of items.keys()) if (errors.has(index)) throw errors.get(index);
  return items.map((_, index) => results.get(index) as R);
}
