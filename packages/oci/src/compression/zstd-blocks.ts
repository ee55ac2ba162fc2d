import { once } from 'node:events';
import { constants, createZstdCompress } from 'node:zlib';
import { LktError } from '@lkt/core';
import { zstd } from './compression.ts';
import { releaseBuffer } from '../layer/layer-memory.ts';
import { FRAME_MAGIC, RLE_BLOCK, windowLogOf } from './zstd-frames.ts';

/**
 * Data up to this size is compressed in one call, which takes half the time of a stream but holds
 * it twice in memory.
 */
const MAX_ONE_SHOT_BYTES = 20 * 2 ** 20;
/** Maximum unpacked bytes of a block, given a window at least as large (RFC 8878, 3.1.1.2.4). */
const MAX_BLOCK = 2 ** 17;
const BLOCK_HEADER = 3;
/** RFC 8878, 3.1.1.1. */
const MAX_FRAME_HEADER = 18;

/**
 * Yields data as compressed zstd blocks (RFC 8878, 3.1.1.2) without a last-block flag: the body of
 * a frame. They fit into any frame with at least the returned window, after uncompressed blocks,
 * which do not change the state that compressed blocks share. A chunk is valid until the next one
 * is requested. The bytes depend on data, `size`, level and version of libzstd.
 * @param size number of bytes in the source
 * @returns the base-2 logarithm of the window size
 * @throws ARCHIVE_INVALID if the source has another size
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

/** Returns the header of a zstd frame with this window, without checksum or content size. */
export function zstdFrameHeader(windowLog: number): Buffer {
  const start = Buffer.alloc(6);
  start.writeUInt32LE(FRAME_MAGIC);
  start[5] = (windowLog - 10) << 3;
  return start;
}

/** Returns data as uncompressed zstd blocks, for a frame with a window of at least 128 KiB. */
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

/**
 * Compresses in one libzstd call: it receives the end with the data, and an output buffer large
 * enough for any result.
 */
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
    let sent = 0;
    for await (const chunk of source) {
      sent += chunk.length;
      if (sent > size) break;
      yield chunk;
    }
    if (sent !== size) throw wrongSize(size);
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

/** Finds block headers in a stream of blocks. */
class BlockHeaders {
  /** A partly read header, and the number of its bytes. */
  #value = 0;
  #read = 0;
  /** Bytes before the next header. */
  #before = 0;

  /** Clears the last-block flags in the next chunk of the stream. */
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
  return new LktError('ARCHIVE_INVALID', `the content does not have ${size} bytes`);
}
