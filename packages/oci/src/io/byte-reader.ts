/** Thrown when the source ends in the middle of a read. */
export class UnexpectedEndError extends Error {}

/**
 * Reads a stream in pieces of chosen lengths. The results are views of the source's chunks where
 * possible, so they are valid until the next read.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;
  #ended = false;
  #total = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes received from the source so far. */
  get total(): number {
    return this.#total;
  }

  /**
   * Returns exactly `length` bytes, or undefined if the source has ended before the first.
   * @throws UnexpectedEndError if the source ends within them
   */
  async read(length: number): Promise<Buffer | undefined> {
    if (this.#chunk.length - this.#position >= length) return this.#cut(length);
    // Copied at once: the source may reuse a chunk when the next one is requested.
    const whole = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const part = await this.take(length - done);
      if (part === undefined) {
        if (done === 0) return undefined;
        throw new UnexpectedEndError('unexpected end of data');
      }
      whole.set(part, done);
      done += part.length;
    }
    return whole;
  }

  /**
   * Returns exactly `length` bytes, which may be 0.
   * @throws UnexpectedEndError if there are fewer
   */
  async readExactly(length: number): Promise<Buffer> {
    const bytes = await this.read(length);
    if (bytes === undefined && length > 0) throw new UnexpectedEndError('unexpected end of data');
    return bytes ?? Buffer.alloc(0);
  }

  /** Returns the next `length` bytes without consuming them, or fewer at the end. */
  async peek(length: number): Promise<Buffer> {
    let start: Buffer = Buffer.alloc(0);
    while (start.length < length) {
      const part = await this.take(length - start.length);
      if (part === undefined) break;
      start = Buffer.concat([start, part]);
    }
    this.unread(start);
    return start;
  }

  /** Returns the bytes at hand, between 1 and `limit`; undefined at the end. */
  async take(limit: number): Promise<Buffer | undefined> {
    if (!(await this.#fill())) return undefined;
    return this.#cut(Math.min(limit, this.#chunk.length - this.#position));
  }

  /** Puts bytes back; the next read returns them first. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunk = Buffer.concat([bytes, this.#chunk.subarray(this.#position)]);
    this.#position = 0;
  }

  /**
   * Skips `length` bytes.
   * @throws UnexpectedEndError if there are fewer
   */
  async skip(length: number): Promise<void> {
    let missing = length;
    while (missing > 0) {
      const part = await this.take(missing);
      if (part === undefined) throw new UnexpectedEndError('unexpected end of data');
      missing -= part.length;
    }
  }

  /** Yields everything up to the end of the source. */
  async *rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const part = await this.take(Infinity);
      if (part === undefined) return;
      yield part;
    }
  }

  /** Ends the source early. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#source.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#position === this.#chunk.length) {
      if (this.#ended) return false;
      const next = await this.#source.next();
      if (next.done === true) {
        this.#ended = true;
        return false;
      }
      const { buffer, byteOffset, length } = next.value;
      this.#chunk = Buffer.from(buffer, byteOffset, length);
      this.#position = 0;
      this.#total += length;
    }
    return true;
  }

  #cut(length: number): Buffer {
    const part = this.#chunk.subarray(this.#position, this.#position + length);
    this.#position += length;
    return part;
  }
}
