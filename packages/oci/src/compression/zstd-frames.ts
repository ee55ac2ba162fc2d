import type { LktError } from '@lkt/core';
import { ByteReader } from '../io/byte-reader.ts';
import { corruptData } from './corrupt-data.ts';

/** Magic number of a frame (RFC 8878, 3.1). */
export const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
/** Block type of one repeated byte (RFC 8878, 3.1.1.2.2). */
export const RLE_BLOCK = 1;

/**
 * Yields the frames of zstd data, each as a stream of its bytes; read one before requesting the
 * next. Skips skippable frames. Needed because Node's decompressor silently stops after one frame,
 * and layers of zstd:chunked and pzstd have many. Parses only lengths; the decompressor validates
 * the rest.
 * @throws ARCHIVE_INVALID, UnexpectedEndError
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const reader = new ByteReader(source);
  let count = 0;
  try {
    for (;;) {
      const magic = await reader.read(4);
      if (magic === undefined) break;
      const number = magic.readUInt32LE();
      if (number >= SKIPPABLE_MAGIC && number <= SKIPPABLE_MAGIC + 15) {
        await reader.skip((await reader.readExactly(4)).readUInt32LE());
        continue;
      }
      if (number !== FRAME_MAGIC) throw broken('there is data outside of frames');
      count += 1;
      yield zstdFrame(reader, magic);
    }
    if (count === 0) throw broken('it has no frame');
  } finally {
    await reader.close();
  }
}

/**
 * Yields the bytes of one frame whose magic number was read, and leaves the reader at its end.
 * @throws UnexpectedEndError
 */
export async function* zstdFrame(reader: ByteReader, magic: Buffer): AsyncGenerator<Uint8Array> {
  const descriptor = await reader.readExactly(1);
  const flags = descriptor[0] ?? 0;
  const isSingleSegment = (flags & 0x20) !== 0;
  const dictionaryId = [0, 1, 2, 4][flags & 3] ?? 0;
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const header = await reader.readExactly((isSingleSegment ? 0 : 1) + dictionaryId + contentSize);
  yield Buffer.concat([magic, descriptor, header]);
  for (let isLast = false; !isLast;) {
    const blockHeader = await reader.readExactly(3);
    yield blockHeader;
    const value = blockHeader.readUIntLE(0, 3);
    isLast = (value & 1) === 1;
    const type = (value >> 1) & 3;
    const size = value >> 3;
    yield await reader.readExactly(type === RLE_BLOCK ? 1 : size);
  }
  const hasChecksum = (flags & 4) !== 0;
  if (hasChecksum) yield await reader.readExactly(4);
}

/**
 * Returns the length of a frame's header and the logarithm of the smallest power of two that holds
 * its window (RFC 8878, 3.1.1.1).
 */
export function windowLogOf(frame: Uint8Array): {
  readonly length: number;
  readonly windowLog: number;
} {
  const header = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const flags = header[4] ?? 0;
  const isSingleSegment = (flags & 0x20) !== 0;
  const sizeLength = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const at = (isSingleSegment ? 5 : 6) + ([0, 1, 2, 4][flags & 3] ?? 0);
  const length = at + sizeLength;
  if (!isSingleSegment) {
    const descriptor = header[5] ?? 0;
    return { length, windowLog: 10 + (descriptor >> 3) + ((descriptor & 7) === 0 ? 0 : 1) };
  }
  // A single-segment frame's window is its content size; the two-byte form has an offset of 256.
  const size =
    sizeLength === 8
      ? Number(header.readBigUInt64LE(at))
      : header.readUIntLE(at, sizeLength) + (sizeLength === 2 ? 256 : 0);
  return { length, windowLog: Math.max(10, Math.ceil(Math.log2(size))) };
}

function broken(what: string): LktError {
  return corruptData('zstd', what);
}
