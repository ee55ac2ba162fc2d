/**
 * Runs while holding every lock, taken in one order, so that two who want the same ones do not wait for each other.
 * @param hold runs something while holding one
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
