import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { readWhole } from '../system/read-whole.ts';

/**
 * Slower reads had to wait for a disk or network. So will the next, and those run better in
 * parallel. A single slow one may only have waited for a processor.
 */
const SLOW_MS = 1;
const SLOW_READS = 2;
const NEXT = 64;
/** Maximum time to block the event loop. */
const LONGEST_MS = 10;

let slowInRow = 0;
let slow = 0;
let since = 0;

/** Returns milliseconds. `performance` would load more of Node. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Reads a file of some kB: synchronously while files come from the page cache, since a round trip
 * to the thread pool takes ten times as long.
 * @param size of the file in bytes; a longer one returns more bytes
 * @param flag for open(2)
 */
export async function readSmallFile(
  path: string,
  size: number,
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
  const content = readWhole(path, size, flag);
  slowInRow = now() - start > SLOW_MS ? slowInRow + 1 : 0;
  if (slowInRow >= SLOW_READS) slow = NEXT;
  return content;
}
