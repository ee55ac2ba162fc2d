/** The source ended in the middle of something. */
export class UnexpectedEndError extends Error {}

/** Reads a stream in pieces of chosen lengths. What it returns are views: of the source's chunks where possible. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;
  #ended = false;
  #total = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes the source has given so far. */
  get total(): number {
    return this.#total;
  }

  /** Exactly `length` bytes, or undefined when the source ended before the first. @throws UnexpectedEndError */
  async read(length: number): Promise<Buffer | undefined> {
    if (this.#chunk.length - this.#position >= length) return this.#cut(length);
    // Copied at once: the source may use a chunk again when the next is asked for.
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

  /** Between 1 and `limit` bytes, what is at hand; undefined at the end. */
  async take(limit: number): Promise<Buffer | undefined> {
    if (!(await this.#fill())) return undefined;
    return this.#cut(Math.min(limit, this.#chunk.length - this.#position));
  }

  /** Puts back what was read and is somebody else's: it is what is read next. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunk = Buffer.concat([bytes, this.#chunk.subarray(this.#position)]);
    this.#position = 0;
  }

  /** @throws UnexpectedEndError when there are fewer than `length` bytes. */
  async skip(length: number): Promise<void> {
    let missing = length;
    while (missing > 0) {
      const part = await this.take(missing);
      if (part === undefined) throw new UnexpectedEndError('unexpected end of data');
      missing -= part.length;
    }
  }

  /** Reads to the end, so that whoever checks the source as a whole can. */
  async drain(): Promise<void> {
    while ((await this.take(Number.MAX_SAFE_INTEGER)) !== undefined);
  }

  /** Tells the source that no more is wanted. */
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
