import type { FileHandle } from 'node:fs/promises';

/** Writes a file; many parts at once, while the next ones come in, if they add up to a batch. */
export class WriteBehind {
  readonly #file: FileHandle;
  #parts: Uint8Array[] = [];
  #size = 0;
  #writing: Promise<void> = Promise.resolve();

  readonly #batch: number;

  /** @param batch bytes; 0 to be done with each part before the next one */
  constructor(file: FileHandle, batch: number) {
    this.#file = file;
    this.#batch = batch;
  }

  /** If there are batches, the part must stay as it is. @throws what writing this or an earlier one threw */
  async write(part: Uint8Array): Promise<void> {
    this.#parts.push(part);
    this.#size += part.length;
    if (this.#size < this.#batch) return;
    await this.#flush();
    if (this.#batch === 0) await this.#writing;
  }

  /** All is written when this is done. */
  async end(): Promise<void> {
    await this.#flush();
    await this.#writing;
  }

  /** Waits for what is under way and no more, whatever becomes of it. */
  async cancel(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const parts = this.#parts;
    this.#parts = [];
    this.#size = 0;
    this.#writing = writeAll(this.#file, parts);
    // Whoever writes next, or ends, hears of it.
    this.#writing.catch(() => undefined);
  }
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  let rest = [...parts];
  while (rest.length > 0) {
    let { bytesWritten } = await file.writev(rest);
    // A full disk takes a part of it, and says so the next time.
    while (bytesWritten > 0 && bytesWritten >= (rest[0]?.length ?? Infinity)) {
      bytesWritten -= rest[0]?.length ?? 0;
      rest = rest.slice(1);
    }
    if (bytesWritten > 0) rest = [rest[0]?.subarray(bytesWritten) ?? Buffer.of(), ...rest.slice(1)];
    rest = rest.filter(({ length }) => length > 0);
  }
}
