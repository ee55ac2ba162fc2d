import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';

/** A read that took longer has waited for a disk or a network: so will the next, which are better done at once. */
const SLOW_MS = 1;
const NEXT = 64;
/** For how long nothing else is done. */
const LONGEST_MS = 10;

let slow = 0;
let since = 0;

/** Milliseconds. `performance` would load more of Node. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Reads a file of some kB. While such files come from memory they are read here: another thread takes ten times as long to be
 * told.
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
  // Its type knows of names of flags only.
  const content = readFileSync(path, { flag: flag as unknown as string });
  if (now() - start > SLOW_MS) slow = NEXT;
  return content;
}
