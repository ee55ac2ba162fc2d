import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, undefinedIf } from '@lkt/core';

const CURRENT = 'console.log';
const OLDER = 'console.log.1';

/** Bytes of a half of the log. */
export const HALF_BYTES: number = 4 * 2 ** 20;

const POLL_MS = 200;
const READ_SIZE = 64 * 1024;

/**
 * The console output of a machine in a directory, in two files of at most 4 MiB: on overflow, the
 * older is replaced. A log that cannot be written any more ends silently.
 */
export class ConsoleLog {
  readonly #dir: string;
  #file: number | undefined;
  #size = 0;

  constructor(dir: string) {
    this.#dir = dir;
    this.#file = openSync(join(dir, CURRENT), 'wx', 0o600);
  }

  write(chunk: Uint8Array): void {
    if (this.#file === undefined) return;
    try {
      if (this.#size + chunk.length > HALF_BYTES) this.#rotate();
      writeSync(this.#file, chunk);
      this.#size += chunk.length;
    } catch (error) {
      if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'EIO', 'ENOENT')) throw error;
      this.close();
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #rotate(): void {
    this.close();
    renameSync(join(this.#dir, CURRENT), join(this.#dir, OLDER));
    this.#file = openSync(join(this.#dir, CURRENT), 'wx', 0o600);
    this.#size = 0;
  }
}

/** Returns the console output that the log of a machine has. */
export async function readConsoleLog(dir: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const name of [OLDER, CURRENT])
    parts.push((await readFile(join(dir, name)).catch(undefinedIf('ENOENT'))) ?? Buffer.alloc(0));
  return Buffer.concat(parts);
}

/**
 * Yields the console output of a machine, first what the log has, then what is new, until the
 * machine or the signal ends it.
 * @param isRunning reports whether the machine runs
 */
export async function* followConsoleLog(
  dir: string,
  isRunning: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const older = await readFile(join(dir, OLDER)).catch(undefinedIf('ENOENT'));
  if (older !== undefined) yield older;
  let file = await open(join(dir, CURRENT), 'r').catch(undefinedIf('ENOENT'));
  try {
    while (file !== undefined) {
      const runs = isRunning();
      yield* rest(file);
      if (await isCurrent(file, dir)) {
        if (!runs || signal.aborted) return;
        await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
        continue;
      }
      // It may have grown before it was replaced.
      yield* rest(file);
      const next = await open(join(dir, CURRENT), 'r').catch(undefinedIf('ENOENT'));
      await file.close();
      file = next;
    }
  } finally {
    await file?.close();
  }
}

async function* rest(file: FileHandle): AsyncGenerator<Buffer> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(READ_SIZE), 0, READ_SIZE, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Reports whether the open file is still the log that is written. */
async function isCurrent(file: FileHandle, dir: string): Promise<boolean> {
  const found = await stat(join(dir, CURRENT)).catch(undefinedIf('ENOENT'));
  return found !== undefined && found.ino === (await file.stat()).ino;
}
