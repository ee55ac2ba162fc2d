/** More are not kept. */
const MOST = 4;

/**
 * Buffers of one size that are used again: a new one each time has the garbage collector look through the whole heap
 * for every few of them.
 */
export class SpareBuffers {
  readonly #size: number;
  readonly #spare: Buffer[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  /** With whatever is in it. */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  /** Of one that was taken, and that nobody uses any more. */
  release(...buffers: readonly Buffer[]): void {
    for (const buffer of buffers) if (this.#spare.length < MOST) this.#spare.push(buffer);
  }
}
