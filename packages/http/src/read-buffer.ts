/**
 * Bytes of a block: few large reads into existing memory are much faster than many small ones, and
 * a reader hands few large parts to other threads. Twice as many take no less time.
 */
const BLOCK_BYTES = 2 ** 20;
/** A block with less space counts as full, since a read into it would be small. */
const MIN_SPACE = 64 * 1024;

/**
 * Memory for received bytes: one block is filled while the reader uses the other, so a slow reader
 * gets large parts. A part is valid until the next one is taken.
 */
export class ReadBuffer {
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** Allocated once the first block is full; many responses are short. */
  #other: Buffer | undefined;
  /** The part of a full block that was not taken yet. */
  #full: Buffer | undefined;
  #taken = 0;
  #received = 0;

  /** Reports whether no byte is left to take. */
  get isEmpty(): boolean {
    return this.#full === undefined && this.#taken === this.#received;
  }

  /** Returns the memory for the next read. After a full block, do not use it before `take`. */
  space(): Buffer {
    return this.#block.subarray(this.#received);
  }

  /** Counts bytes read into `space`. Returns false if a part must be taken before the next read. */
  receive(count: number): boolean {
    this.#received += count;
    if (this.#block.length - this.#received >= MIN_SPACE) return true;
    const block = this.#block;
    this.#full = block.subarray(this.#taken, this.#received);
    this.#block = this.#other ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#other = block;
    this.#taken = 0;
    this.#received = 0;
    return false;
  }

  /** Returns all bytes received since the last call; undefined without any. */
  take(): Buffer | undefined {
    if (this.isEmpty) return undefined;
    const part = this.#full ?? this.#block.subarray(this.#taken, this.#received);
    if (this.#full === undefined) this.#taken = this.#received;
    else this.#full = undefined;
    return part;
  }
}
