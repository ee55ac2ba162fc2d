/** Maximum number of free buffers kept. */
const MAX_FREE = 4;

/**
 * A pool of buffers of one size. Allocating one each time would make the garbage collector scan the
 * whole heap every few buffers.
 */
export class BufferPool {
  readonly #size: number;
  readonly #free: Buffer[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  /** Returns a buffer with arbitrary content. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  /** Returns buffers from `take` to the pool. They must not be used again. */
  release(...buffers: readonly Buffer[]): void {
    for (const buffer of buffers) if (this.#free.length < MAX_FREE) this.#free.push(buffer);
  }
}
