// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md#legacy-frame, lz4_Block_format.md
import { LktError } from '@lkt/core';
import type { ByteReader } from '@lkt/oci';
import { LZ4_BLOCK_SIZE, LZ4_MAGIC } from './lz4.ts';

/** LZ4_COMPRESSBOUND of a block. */
const MAX_COMPRESSED_SIZE = LZ4_BLOCK_SIZE + Math.ceil(LZ4_BLOCK_SIZE / 255) + 16;

/**
 * Decompresses an LZ4 legacy frame, as `lz4 -l` writes it. The magic number has been read; blocks
 * follow, then four zeros or the end.
 * @throws ARCHIVE_INVALID for invalid data, or for more than `maxBytes` bytes
 */
export async function* unlz4(reader: ByteReader, maxBytes: number): AsyncGenerator<Uint8Array> {
  let total = 0;
  for (;;) {
    const head = await reader.read(4);
    if (head === undefined) return;
    const size = head.readUInt32LE();
    if (size === 0) return;
    if (size === LZ4_MAGIC) continue;
    if (size > MAX_COMPRESSED_SIZE) throw lz4Error('a block is too long');
    const packed = await reader.read(size);
    if (packed === undefined) throw lz4Error('it is truncated');
    const block = unlz4Block(packed, LZ4_BLOCK_SIZE);
    total += block.length;
    if (total > maxBytes)
      throw new LktError(
        'ARCHIVE_INVALID',
        `the lz4 data decompresses to more than ${maxBytes} bytes`,
      );
    yield block;
  }
}

/**
 * Decompresses a block (lz4_Block_format.md): repeated sequences of a token, literals, and a match
 * with offset and length.
 * @throws ARCHIVE_INVALID for invalid data, or for more than `maxBytes` bytes
 */
export function unlz4Block(packed: Buffer, maxBytes: number): Buffer {
  const block = Buffer.allocUnsafe(maxBytes);
  let at = 0;
  let size = 0;
  const byte = (): number => {
    const value = packed[at];
    if (value === undefined) throw lz4Error('a block is truncated');
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
    if (at + literals > packed.length || size + literals > maxBytes)
      throw lz4Error('a block decompresses to too many bytes');
    packed.copy(block, size, at, at + literals);
    at += literals;
    size += literals;
    if (at === packed.length) return block.subarray(0, size);
    const offset = byte() | (byte() << 8);
    const length = lengthFrom(token & 15) + 4;
    if (offset === 0 || offset > size || size + length > maxBytes)
      throw lz4Error('a match is outside of the block');
    // A match may overlap its own output.
    for (let end = size + length; size < end; size += 1) block[size] = block[size - offset] ?? 0;
  }
}

function lz4Error(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the lz4 data is invalid: ${what}`);
}
