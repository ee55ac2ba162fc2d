import { statsOf } from './disk-use.ts';

/**
 * Checks a file or directory that another process may remove at any moment: by renaming it, never
 * bit by bit. Returns undefined if that happened, regardless of the result of the check.
 */
export async function checkInPlace(
  path: string,
  check: () => Promise<boolean | undefined>,
): Promise<boolean | undefined> {
  const before = statsOf(path);
  const isStillThere = (): boolean => {
    const after = statsOf(path);
    return after !== undefined && after.ino === before?.ino && after.dev === before.dev;
  };
  try {
    const result = await check();
    return result === false && !isStillThere() ? undefined : result;
  } catch (error) {
    if (isStillThere()) throw error;
    return undefined;
  }
}
