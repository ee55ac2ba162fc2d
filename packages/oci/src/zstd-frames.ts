import { LktError } from '@lkt/core';
import { ByteReader, UnexpectedEndError } from './byte-reader.ts';

// RFC 8878, 3.1.
export const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
export const RLE_BLOCK = 1;

/**
 * The frames of zstd data, each with all its bytes; a frame must be read before the next is asked for. Skippable frames
 * are left out. Node's decompressor ends after one frame without a word; layers of zstd:chunked and pzstd have many. Only
 * the lengths are looked at here: whether a frame is good is for the decompressor to say.
 * @throws LktError ARCHIVE_INVALID
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
        await reader.skip((await bytes(reader, 4)).readUInt32LE());
        continue;
      }
      if (number !== FRAME_MAGIC) throw broken('there is something that is no frame');
      count += 1;
      yield zstdFrame(reader, magic);
    }
    if (count === 0) throw broken('there is no frame');
  } catch (error) {
    throw error instanceof UnexpectedEndError ? broken('it is cut off') : error;
  } finally {
    await reader.close();
  }
}

/** One frame, of which the magic number was read; the reader is at its end then. @throws LktError ARCHIVE_INVALID */
export async function* zstdFrame(reader: ByteReader, magic: Buffer): AsyncGenerator<Uint8Array> {
  const descriptor = await bytes(reader, 1);
  const flags = descriptor[0] ?? 0;
  const isSingleSegment = (flags & 0x20) !== 0;
  const dictionaryId = [0, 1, 2, 4][flags & 3] ?? 0;
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const header = await bytes(reader, (isSingleSegment ? 0 : 1) + dictionaryId + contentSize);
  yield Buffer.concat([magic, descriptor, header]);
  for (let isLast = false; !isLast;) {
    const blockHeader = await bytes(reader, 3);
    yield blockHeader;
    const value = blockHeader.readUIntLE(0, 3);
    isLast = (value & 1) === 1;
    const type = (value >> 1) & 3;
    const size = value >> 3;
    yield await bytes(reader, type === RLE_BLOCK ? 1 : size);
  }
  const hasChecksum = (flags & 4) !== 0;
  if (hasChecksum) yield await bytes(reader, 4);
}

/**
 * The length of the header at the start of a frame, and the logarithm of a window that is as large as its own (RFC 8878,
 * 3.1.1.1).
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
  // Its window is what it unpacks to; two bytes leave out the 256 that one byte has.
  const size =
    sizeLength === 8
      ? Number(header.readBigUInt64LE(at))
      : header.readUIntLE(at, sizeLength) + (sizeLength === 2 ? 256 : 0);
  return { length, windowLog: Math.max(10, Math.ceil(Math.log2(size))) };
}

/** Exactly as many, none included. */
async function bytes(reader: ByteReader, length: number): Promise<Buffer> {
  try {
    const data = await reader.read(length);
    if (data !== undefined) return data;
  } catch (error) {
    if (!(error instanceof UnexpectedEndError)) throw error;
  }
  throw broken('it is cut off');
}

function broken(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the zstd data is broken: ${what}`);
}
