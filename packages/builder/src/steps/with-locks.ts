/**
 * Runs a function with all locks held. Locks are taken in a fixed order, so callers never deadlock.
 * @param hold runs a function with one lock held
 */
export async function withLocks(
  names: readonly (string | undefined)[],
  hold: (name: string, run: () => Promise<void>) => Promise<void>,
  run: () => Promise<void>,
): Promise<void> {
  const locks = [...new Set(names.filter((name) => name !== undefined))].toSorted();
  const [first, ...rest] = locks;
  if (first === undefined) return run();
  return hold(first, async () => withLocks(rest, hold, run));
}
