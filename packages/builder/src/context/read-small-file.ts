import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';

/**
 * A slower read had to wait for a disk or network. So will the next, and those run better in
 * parallel.
 */
const SLOW_MS = 1;
const NEXT = 64;
/** Maximum time to block the event loop. */
const LONGEST_MS = 10;

let slow = 0;
let since = 0;

/** Returns milliseconds. `performance` would load more of Node. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Reads a file of some kB: synchronously while files come from the page cache, since a round trip
 * to the thread pool takes ten times as long.
 * @param flag for open(2)
 */
export async function readSmallFile(
  path: string,
  flag: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  if (slow > 0) {
    slow -= 1;
    return readFile(path, { signal, flag });
  }
  if (now() - since > LONGEST_MS) {
    await setImmediate();
    since = now();
  }
  signal?.throwIfAborted();
  const start = now();
  // The type only allows names of flags.
  const content = readFileSync(path, { flag: flag as unknown as string });
  if (now() - start > SLOW_MS) slow = NEXT;
  return content;
}
