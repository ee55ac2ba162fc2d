import type { FileHandle } from 'node:fs/promises';

/** Has the disk begin with a file that is still written, so that fsync(2) has little left to wait for. */
export interface EarlyWriteback {
  /** That so many bytes more are in the file. Nothing waits for them. */
  advance(count: number): void;
  /** Before the file is closed: whoever has its number next is not meant. */
  settled(): Promise<void>;
}

/** One start for so many bytes. */
const STEP_BYTES = 4 * 2 ** 20;
/** SYNC_FILE_RANGE_WRITE of sync_file_range(2). */
const SYNC_FILE_RANGE_WRITE = 2;

type SyncFileRange = (fd: number, start: number, count: number, then: () => void) => void;

let loading: Promise<SyncFileRange | undefined> | undefined;

/** Does nothing for content that is short, nor where the C library cannot. */
export function earlyWriteback(file: FileHandle): EarlyWriteback {
  let written = 0;
  let begun = 0;
  let last = Promise.resolve();
  return {
    advance: (count) => {
      written += count;
      const from = begun;
      const length = written - from;
      if (length < STEP_BYTES) return;
      begun = written;
      // It waits where the queue of the disk is full. One after the other, they take one thread.
      last = begin(last, file, from, length);
    },
    settled: async () => last,
  };
}

async function begin(
  before: Promise<void>,
  { fd }: FileHandle,
  from: number,
  length: number,
): Promise<void> {
  await before;
  loading ??= load();
  const start = await loading;
  if (start !== undefined) await new Promise<void>((resolve) => start(fd, from, length, resolve));
}

async function load(): Promise<SyncFileRange | undefined> {
  try {
    // Most processes write nothing that is long.
    const { default: koffi } = await import('koffi');
    const call = koffi
      .load(null)
      .func('sync_file_range', 'int', ['int', 'int64', 'int64', 'unsigned int']);
    // What it says is not looked at: fsync(2) hears of a disk that fails.
    return (fd, start, count, then) =>
      call.async(fd, start, count, SYNC_FILE_RANGE_WRITE, () => then());
  } catch {
    return undefined;
  }
}
