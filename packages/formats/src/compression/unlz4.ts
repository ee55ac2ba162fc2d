// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md#legacy-frame, lz4_Block_format.md
import { LktError } from '@lkt/core';
import type { ByteReader } from '@lkt/oci';

const MAGIC = 0x184c2102;
const BLOCK = 8 * 2 ** 20;
/** LZ4_COMPRESSBOUND of a block. */
const MAX_PACKED = BLOCK + Math.ceil(BLOCK / 255) + 16;

/**
 * What `lz4` packed, or the program of this name with `-l`: a magic number that was read, then blocks, then four zeros or
 * the end.
 * @throws LktError ARCHIVE_INVALID
 */
export async function* unlz4(reader: ByteReader, maxBytes: number): AsyncGenerator<Uint8Array> {
  let total = 0;
  for (;;) {
    const head = await reader.read(4);
    if (head === undefined) return;
    const size = head.readUInt32LE();
    if (size === 0) return;
    if (size === MAGIC) continue;
    if (size > MAX_PACKED) throw broken('a block is too long');
    const packed = await reader.read(size);
    if (packed === undefined) throw broken('it is cut off');
    const block = unlz4Block(packed, BLOCK);
    total += block.length;
    if (total > maxBytes)
      throw new LktError('ARCHIVE_INVALID', `the lz4 data unpacks to more than ${maxBytes} bytes`);
    yield block;
  }
}

/**
 * A block (lz4_Block_format.md): a token, literals, an offset backwards and a length, again and again.
 * @throws LktError ARCHIVE_INVALID, also for more than `most` bytes
 */
export function unlz4Block(packed: Buffer, most: number): Buffer {
  const block = Buffer.allocUnsafe(most);
  let at = 0;
  let size = 0;
  const byte = (): number => {
    const value = packed[at];
    if (value === undefined) throw broken('a block is cut off');
    at += 1;
    return value;
  };
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble < 15) return length;
    for (let more = 255; more === 255;) {
      more = byte();
      length += more;
    }
    return length;
  };
  for (;;) {
    const token = byte();
    const literals = lengthFrom(token >> 4);
    if (at + literals > packed.length || size + literals > most)
      throw broken('a block is longer than it can be');
    packed.copy(block, size, at, at + literals);
    at += literals;
    size += literals;
    if (at === packed.length) return block.subarray(0, size);
    const offset = byte() | (byte() << 8);
    const length = lengthFrom(token & 15) + 4;
    if (offset === 0 || offset > size || size + length > most)
      throw broken('a block repeats what is not there');
    // What is repeated may reach into what it gives.
    for (let end = size + length; size < end; size += 1) block[size] = block[size - offset] ?? 0;
  }
}

function broken(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the lz4 data is broken: ${what}`);
}
