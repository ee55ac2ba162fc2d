import { once } from 'node:events';
import { constants, createZstdCompress } from 'node:zlib';
import { LktError } from '@lkt/core';
import { zstd } from './compression.ts';
import { releaseBuffer } from './layer-memory.ts';
import { FRAME_MAGIC, RLE_BLOCK, windowLogOf } from './zstd-frames.ts';

/** What is compressed in one go, which costs half of what a stream does; it is in memory as a whole, twice. */
const MAX_ONE_SHOT_BYTES = 20 * 2 ** 20;
/** RFC 8878, 3.1.1.2.4: the most that a block unpacks to, if the window is as large. */
const MAX_BLOCK = 2 ** 17;
const BLOCK_HEADER = 3;
/** RFC 8878, 3.1.1.1. */
const MAX_FRAME_HEADER = 18;

/**
 * Data as compressed blocks of zstd (RFC 8878, 3.1.1.2), none of which is marked as the last: what a frame has after its
 * header. They can stand in any frame whose window is as large as that which is returned at the end, after blocks that are
 * not compressed: those leave alone what a compressed block takes over from the one before it. A piece is good until the
 * next is asked for. The bytes depend on the data, `size`, the level and the version of libzstd.
 * @param size bytes that the source must give
 * @returns the logarithm of the window
 * @throws LktError ARCHIVE_INVALID for a source of another size
 */
export async function* zstdBlocks(
  source: AsyncIterable<Uint8Array>,
  size: number,
  level: number = constants.ZSTD_CLEVEL_DEFAULT,
): AsyncGenerator<Uint8Array, number> {
  if (size > MAX_ONE_SHOT_BYTES) return yield* compressStream(source, size, level);
  let gathered: Buffer | undefined;
  let filled = 0;
  for await (const chunk of source) {
    if (filled + chunk.length > size) throw wrongSize(size);
    if (chunk.length === size) {
      const packed = await compressAtOnce(chunk, level);
      yield packed.blocks;
      releaseBuffer(packed.blocks);
      return packed.windowLog;
    }
    gathered ??= Buffer.allocUnsafeSlow(size);
    gathered.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== size || gathered === undefined) throw wrongSize(size);
  const packed = await compressAtOnce(gathered, level);
  releaseBuffer(gathered);
  yield packed.blocks;
  releaseBuffer(packed.blocks);
  return packed.windowLog;
}

/** The beginning of a frame with that window, without a checksum and without the size of what it unpacks to. */
export function zstdFrameHeader(windowLog: number): Buffer {
  const start = Buffer.alloc(6);
  start.writeUInt32LE(FRAME_MAGIC);
  start[5] = (windowLog - 10) << 3;
  return start;
}

/** Data as blocks that are not compressed, for a frame with a window of 128 KiB or more. */
export function zstdRawBlocks(data: Uint8Array, { isLast }: { isLast: boolean }): Buffer {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < data.length || at === 0; at += MAX_BLOCK) {
    const block = data.subarray(at, at + MAX_BLOCK);
    const header = Buffer.alloc(BLOCK_HEADER);
    header.writeUIntLE(
      (block.length << 3) | (isLast && at + MAX_BLOCK >= data.length ? 1 : 0),
      0,
      3,
    );
    pieces.push(header, block);
  }
  return Buffer.concat(pieces);
}

async function compressAtOnce(
  data: Uint8Array,
  level: number,
): Promise<{ readonly blocks: Buffer; readonly windowLog: number }> {
  const frame = await compressFrame(data, level);
  const { length, windowLog } = windowLogOf(frame);
  const blocks = frame.subarray(length);
  new BlockHeaders().clearLastFlags(blocks);
  return { blocks, windowLog };
}

/** libzstd is told of the end with the data and has room for all that can come of it, so it does it in one go. */
async function compressFrame(data: Uint8Array, level: number): Promise<Buffer> {
  const transform = createZstdCompress({
    flush: constants.ZSTD_e_end,
    chunkSize: data.length + (data.length >> 8) + 1024,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  try {
    const frame = once(transform, 'data');
    transform.write(data);
    return ((await frame) as [Buffer])[0];
  } finally {
    transform.destroy();
  }
}

async function* compressStream(
  source: AsyncIterable<Uint8Array>,
  size: number,
  level: number,
): AsyncGenerator<Uint8Array, number> {
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    let given = 0;
    for await (const chunk of source) {
      given += chunk.length;
      if (given > size) break;
      yield chunk;
    }
    if (given !== size) throw wrongSize(size);
  };
  const headers = new BlockHeaders();
  let start = Buffer.of();
  let windowLog = 0;
  for await (const chunk of zstd(counted(), level)) {
    let blocks = chunk;
    if (windowLog === 0) {
      start = Buffer.concat([start, chunk]);
      if (start.length < MAX_FRAME_HEADER) continue;
      const header = windowLogOf(start);
      ({ windowLog } = header);
      blocks = start.subarray(header.length);
    }
    headers.clearLastFlags(blocks);
    yield blocks;
  }
  return windowLog;
}

/** Finds the headers of blocks in a stream of them. */
class BlockHeaders {
  /** What has been read of a header, and how many bytes that is. */
  #value = 0;
  #read = 0;
  /** Bytes up to the next. */
  #before = 0;

  /** Takes the mark of the last block from the next piece of the stream. */
  clearLastFlags(piece: Uint8Array): void {
    for (let at = this.#before; ;) {
      if (at >= piece.length) {
        this.#before = at - piece.length;
        return;
      }
      const byte = piece[at] ?? 0;
      if (this.#read === 0) piece[at] = byte & 0xfe;
      this.#value |= byte << (8 * this.#read);
      this.#read += 1;
      at += 1;
      if (this.#read < BLOCK_HEADER) continue;
      at += ((this.#value >> 1) & 3) === RLE_BLOCK ? 1 : this.#value >> 3;
      this.#value = 0;
      this.#read = 0;
    }
  }
}

function wrongSize(size: number): LktError {
  return new LktError('ARCHIVE_INVALID', `there are not ${size} bytes of content`);
}
