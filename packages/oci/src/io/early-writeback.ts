import type { FileHandle } from 'node:fs/promises';

/** Starts writing a growing file to disk, so that fsync(2) has less left to do. */
export interface EarlyWriteback {
  /** Reports `count` more bytes in the file. Does not wait for the disk. */
  advance(count: number): void;
  /**
   * Waits for pending calls. Required before the file is closed, since its descriptor may then be
   * reused.
   */
  settled(): Promise<void>;
}

/** Bytes per call of sync_file_range(2). */
const STEP_BYTES = 4 * 2 ** 20;
/** Flag of sync_file_range(2). */
const SYNC_FILE_RANGE_WRITE = 2;

type SyncFileRange = (fd: number, start: number, count: number, then: () => void) => void;

let loading: Promise<SyncFileRange | undefined> | undefined;

/**
 * Returns the writeback of an open file. It does nothing for short content, or if the C library
 * lacks the call.
 */
export function earlyWriteback(file: FileHandle): EarlyWriteback {
  let written = 0;
  let started = 0;
  let last = Promise.resolve();
  return {
    advance: (count) => {
      written += count;
      const from = started;
      const length = written - from;
      if (length < STEP_BYTES) return;
      started = written;
      // The call blocks while the disk's queue is full. One at a time, they occupy a single thread.
      last = startWriteback(last, file, from, length);
    },
    settled: async () => last,
  };
}

async function startWriteback(
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
    // Loaded on demand: most processes write nothing long.
    const { default: koffi } = await import('koffi');
    const call = koffi
      .load(null)
      .func('sync_file_range', 'int', ['int', 'int64', 'int64', 'unsigned int']);
    // The result is ignored: fsync(2) reports a failing disk.
    return (fd, start, count, then) =>
      call.async(fd, start, count, SYNC_FILE_RANGE_WRITE, () => then());
  } catch {
    return undefined;
  }
}
