/** Capacity of the first buffer. */
const MIN_CAPACITY = 4096;

/**
 * Collects bytes that arrive in parts, in one buffer that grows: parts of one byte each take the
 * memory of their bytes, not of as many objects.
 * @example
 * ```ts
 * const collector = new ByteCollector();
 * for await (const part of body) collector.push(part);
 * const bytes = collector.bytes();
 * ```
 */
export class ByteCollector {
  #buffer: Buffer = Buffer.of();
  #size = 0;

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Copies a part, whose memory the caller may reuse. */
  push(part: Uint8Array): void {
    const size = this.#size + part.length;
    if (size > this.#buffer.length) {
      const capacity = Math.max(size, 2 * this.#buffer.length, MIN_CAPACITY);
      const larger = Buffer.allocUnsafeSlow(capacity);
      this.#buffer.copy(larger, 0, 0, this.#size);
      this.#buffer = larger;
    }
    this.#buffer.set(part, this.#size);
    this.#size = size;
  }

  /** Returns the bytes so far, valid until the next `push`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }
}
