const under = new Map<string, Promise<unknown>>();

/**
 * Runs what has the same key one after the other, in this process. A failure is that of its own caller alone: who comes
 * next finds out for themselves how far it got.
 */
export async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = under.get(key);
  const run = before === undefined ? work() : before.then(work, work);
  under.set(key, run);
  try {
    return await run;
  } finally {
    if (under.get(key) === run) under.delete(key);
  }
}
