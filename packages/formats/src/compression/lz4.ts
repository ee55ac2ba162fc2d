// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md#legacy-frame and lz4_Block_format.md,
// as read by the kernel (lib/decompress_unlz4.c).
import { blocksOf } from '../bytes/blocks.ts';
import { packer } from '../bytes/pack.ts';

export const LZ4_MAGIC = 0x184c2102;
export const LZ4_BLOCK_SIZE: number = 8 * 2 ** 20;
/** The last match must begin this far from the end of a block, and the last bytes are literals. */
const MATCH_DISTANCE = 12;
const LAST_LITERALS = 5;
const MIN_MATCH = 4;
const MAX_OFFSET = 0xffff;
const HASH_BITS = 16;
/** After this many failed searches, as a power of two, the search takes longer steps. */
const SKIP_TRIGGER = 6;

/**
 * Compresses a stream as LZ4 legacy frame; the bytes depend only on the content. Four zero bytes
 * end it, because the kernel would take anything else for a damaged block.
 */
export async function* lz4(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield packer('<I')(LZ4_MAGIC);
  const table = new Int32Array(2 ** HASH_BITS);
  for await (const block of blocksOf(source, LZ4_BLOCK_SIZE)) yield lz4Block(block, table);
  yield Buffer.alloc(4);
}

/** Compresses one block (lz4_Block_format.md). */
export function lz4Bytes(source: Uint8Array): Buffer {
  return lz4Block(source, new Int32Array(2 ** HASH_BITS)).subarray(4);
}

/** Returns a block with its length in front. */
function lz4Block(source: Uint8Array, table: Int32Array): Buffer {
  // Incompressible data grows by one byte in 255.
  const target = Buffer.allocUnsafeSlow(4 + source.length + Math.ceil(source.length / 255) + 16);
  const end = new BlockWriter(source, target, table).write();
  target.writeUInt32LE(end - 4);
  return target.subarray(0, end);
}

class BlockWriter {
  readonly #source: Uint8Array;
  readonly #target: Buffer;
  readonly #table: Int32Array;
  #out = 4;

  constructor(source: Uint8Array, target: Buffer, table: Int32Array) {
    this.#source = source;
    this.#target = target;
    this.#table = table.fill(-1);
  }

  /** Compresses the source. Returns the end of the output. */
  write(): number {
    const source = this.#source;
    const table = this.#table;
    let anchor = 0;
    let at = 0;
    let failures = 1 << SKIP_TRIGGER;
    while (at < source.length - MATCH_DISTANCE) {
      const word = this.#word(at);
      const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
      let from = table[slot] ?? -1;
      table[slot] = at;
      if (from < 0 || at - from > MAX_OFFSET || this.#word(from) !== word) {
        at += failures >> SKIP_TRIGGER;
        failures += 1;
        continue;
      }
      failures = 1 << SKIP_TRIGGER;
      while (at > anchor && from > 0 && source[at - 1] === source[from - 1]) {
        at -= 1;
        from -= 1;
      }
      let length = MIN_MATCH;
      const limit = source.length - LAST_LITERALS - at;
      while (length < limit && source[at + length] === source[from + length]) length += 1;
      this.#sequence(anchor, at, length - MIN_MATCH, at - from);
      at += length;
      anchor = at;
    }
    this.#sequence(anchor, source.length, 0, 0);
    return this.#out;
  }

  /**
   * Writes the literals from `start` to `end`, and the match after them; the last sequence has no
   * match.
   */
  #sequence(start: number, end: number, matchLength: number, offset: number): void {
    const literals = end - start;
    const target = this.#target;
    target[this.#out] = (Math.min(literals, 15) << 4) | Math.min(matchLength, 15);
    this.#out += 1;
    this.#length(literals);
    target.set(this.#source.subarray(start, end), this.#out);
    this.#out += literals;
    if (offset === 0) return;
    this.#out = target.writeUInt16LE(offset, this.#out);
    this.#length(matchLength);
  }

  /** Writes the part of a length that does not fit into the token. */
  #length(length: number): void {
    if (length < 15) return;
    let rest = length - 15;
    for (; rest >= 255; rest -= 255) {
      this.#target[this.#out] = 255;
      this.#out += 1;
    }
    this.#target[this.#out] = rest;
    this.#out += 1;
  }

  #word(at: number): number {
    const source = this.#source;
    return (
      (source[at] ?? 0) |
      ((source[at + 1] ?? 0) << 8) |
      ((source[at + 2] ?? 0) << 16) |
      ((source[at + 3] ?? 0) << 24)
    );
  }
}
