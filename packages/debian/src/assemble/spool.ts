import { readSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';

/** The contents of a file. Hard links share one object. */
export interface Content {
  /** In bytes. */
  readonly size: number;
  readonly read: () => AsyncIterable<Uint8Array>;
}

const BUFFER = 1 << 20;
const SMALL = 1 << 18;

/** An unnamed temporary file for contents that are read later, in another order. */
export class Spool implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #buffer = Buffer.alloc(BUFFER);
  #buffered = 0;
  #written = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * Creates the file at `path` and unlinks it at once, so that its space is freed however the
   * process ends.
   */
  static async create(path: string): Promise<Spool> {
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Spool(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async append(content: AsyncIterable<Uint8Array> | undefined): Promise<Content> {
    const offset = this.#written + this.#buffered;
    if (content !== undefined) for await (const chunk of content) await this.#add(chunk);
    const size = this.#written + this.#buffered - offset;
    return { size, read: () => this.#read(offset, size) };
  }

  /** Writes the buffer. Call it before the first `read`. */
  async flush(): Promise<void> {
    await this.#file.writeFile(this.#buffer.subarray(0, this.#buffered));
    this.#written += this.#buffered;
    this.#buffered = 0;
  }

  async *#read(offset: number, size: number): AsyncGenerator<Uint8Array> {
    if (size <= SMALL) {
      // Small files are in the page cache: a trip through the thread pool would take longer.
      const chunk = Buffer.allocUnsafe(size);
      requireAll(readSync(this.#file.fd, chunk, 0, size, offset), size);
      yield chunk;
      return;
    }
    for (let done = 0; done < size; done += BUFFER) {
      const length = Math.min(BUFFER, size - done);
      const chunk = Buffer.allocUnsafe(length);
      const { bytesRead } = await this.#file.read(chunk, 0, length, offset + done);
      requireAll(bytesRead, length);
      yield chunk;
    }
  }

  async #add(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      if (this.#buffered === BUFFER) await this.flush();
      const part = chunk.subarray(done, done + BUFFER - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      done += part.length;
    }
  }
}

function requireAll(read: number, wanted: number): void {
  if (read !== wanted) throw new Error('the spool was truncated while in use');
}
