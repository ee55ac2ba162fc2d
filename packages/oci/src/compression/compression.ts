import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  constants,
  crc32,
  createDeflateRaw,
  createGunzip,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib';
import { collectChunks, isErrno, LktError } from '@lkt/core';
import { isKnownZlib } from './deflate-check.ts';
import type { Descriptor } from '../image/descriptor.ts';
import { readGzipMember } from './gzip-member.ts';
import { MediaType } from '../image/media-type.ts';
import { type ByteReader, UnexpectedEndError } from '../io/byte-reader.ts';
import { rechunk } from '../io/rechunk.ts';
import { corruptData } from './corrupt-data.ts';
import { zstdFrame, zstdFrames } from './zstd-frames.ts';

/** The level of every gzip stream lkt writes; part of the engine epoch. */
const GZIP_LEVEL = 4;

// RFC 1952, 2.3: deflate, no flags, no time, no extra flags, unknown system. It reveals nothing of
// the machine.
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const CHUNK = 64 * 1024;
/**
 * Chunk size of decompressed output in bytes. Each chunk is a thread-pool task, so larger ones are
 * cheaper.
 */
const UNPACKED_CHUNK = 256 * 1024;
/**
 * Bytes passed to libzstd per call. The output is the same for any multiple of its 128 KiB blocks.
 * A call is a thread-pool task, which costs more than half of compressing a block.
 */
export const ZSTD_CHUNK_BYTES: number = 512 * 1024;
/** 128 MiB, the default limit of `zstd -d`. It bounds the memory of a decompressor. */
const ZSTD_MAX_WINDOW_LOG = 27;
/**
 * Requests the next chunk only after the last one was consumed, however short: the source may then
 * overwrite its memory.
 */
const ONE_AT_A_TIME = { writableHighWaterMark: 1 };
/**
 * Makes this many bytes of output ahead of the consumer. Node's default is less than a chunk, so a
 * thread would wait for the consumer after each.
 */
const AHEAD = { readableHighWaterMark: 2 ** 19 };

/**
 * Compresses to gzip (RFC 1952). The output depends only on content and level: not on the machine,
 * the time, the zlib of this Node or the chunking of the source.
 */
export async function* gzip(
  source: AsyncIterable<Uint8Array>,
  level: number = GZIP_LEVEL,
): AsyncGenerator<Uint8Array> {
  let checksum = 0;
  let size = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      checksum = crc32(chunk, checksum);
      size += chunk.length;
      yield chunk;
    }
  };
  yield GZIP_HEADER;
  if (isKnownZlib()) {
    yield* through(counted(), createDeflateRaw({ level, chunkSize: CHUNK, ...ONE_AT_A_TIME }));
  } else {
    yield* deflateRawPortable(counted(), level);
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield trailer;
}

/**
 * Decompresses gzip of one or more members (RFC 1952).
 * @throws ARCHIVE_INVALID if the data is not whole gzip members or unpacks to more than `maxBytes`
 */
export function gunzip(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed(
    'gzip',
    through(source, createGunzip({ chunkSize: UNPACKED_CHUNK, ...ONE_AT_A_TIME, ...AHEAD })),
    options,
  );
}

/**
 * Compresses to zstd (RFC 8878). The output changes with the version of libzstd, so do not use it
 * for content whose digest must be reproducible.
 */
export function zstd(
  source: AsyncIterable<Uint8Array>,
  level: number = constants.ZSTD_CLEVEL_DEFAULT,
): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const options = { chunkSize: UNPACKED_CHUNK, params, ...ONE_AT_A_TIME, ...AHEAD };
  const transform = createZstdCompress(options);
  return through(
    rechunk(source, ZSTD_CHUNK_BYTES, { canShare: true, canReuseBuffer: true }),
    transform,
  );
}

/**
 * Decompresses zstd of one or more frames (RFC 8878).
 * @throws ARCHIVE_INVALID if the data is not whole frames or unpacks to more than `maxBytes`
 */
export function unzstd(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed('zstd', unzstdFrames(source), options);
}

async function* unzstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const frame of zstdFrames(source)) yield* unzstdOne(frame);
}

function unzstdOne(frame: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_MAX_WINDOW_LOG };
  const options = { chunkSize: UNPACKED_CHUNK, params, ...ONE_AT_A_TIME, ...AHEAD };
  return through(frame, createZstdDecompress(options));
}

/**
 * Decompresses one zstd frame inside a longer stream. `magic` is its magic number, which the caller
 * has read; afterwards the reader is at the end of the frame.
 * @throws ARCHIVE_INVALID
 */
export function unzstdFrame(
  reader: ByteReader,
  magic: Buffer,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed('zstd', unzstdOne(zstdFrame(reader, magic)), options);
}

/**
 * Decompresses one gzip member inside a longer stream. `start` is its first four bytes, which the
 * caller has read; afterwards the reader is at the end of the member.
 * @throws ARCHIVE_INVALID
 */
export function gunzipMember(
  reader: ByteReader,
  start: Buffer,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed('gzip', readGzipMember(reader, start), options);
}

/** Limits of a decompression. */
export interface DecompressOptions {
  /** Maximum output in bytes; default 64 GiB. */
  readonly maxBytes?: number | undefined;
}

/**
 * Returns the tar archive in a layer's blob, decompressed according to the descriptor's media type.
 * @throws UNSUPPORTED if the media type is not a layer's; ARCHIVE_INVALID
 * @example
 * ```ts
 * for await (const entry of readTar(decompressLayer(layer, store.read(layer)))) use(entry);
 * ```
 */
export function decompressLayer(
  descriptor: Descriptor,
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncIterable<Uint8Array> {
  switch (descriptor.mediaType.replace('.nondistributable', '').replace('.foreign', '')) {
    case MediaType.layerTar:
    case MediaType.dockerLayerTar:
      return source;
    case MediaType.layerGzip:
    case MediaType.dockerLayerGzip:
      return gunzip(source, options);
    case MediaType.layerZstd:
      return unzstd(source, options);
    default:
      throw new LktError(
        'UNSUPPORTED',
        `layer ${descriptor.digest} has the type "${descriptor.mediaType}", which is not a layer type`,
      );
  }
}

async function* decompressed(
  format: 'gzip' | 'zstd',
  output: AsyncIterable<Uint8Array>,
  { maxBytes = 64 * 2 ** 30 }: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  try {
    for await (const chunk of output) {
      size += chunk.length;
      if (size > maxBytes) {
        throw new LktError(
          'ARCHIVE_INVALID',
          `the ${format} data unpacks to more than ${maxBytes} bytes`,
        );
      }
      yield chunk;
      collectChunks(chunk.length);
    }
  } catch (cause) {
    if (cause instanceof UnexpectedEndError) throw corruptData(format, 'it is truncated', cause);
    throw isZlibError(cause) ? corruptData(format, cause.message, cause) : cause;
  }
}

function isZlibError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    'code' in error &&
    /^(?:Z_|ZSTD_|ERR_ZLIB|ERR_TRAILING_JUNK)/.test(String(error.code)) &&
    !isErrno(error, 'Z_MEM_ERROR')
  );
}

/**
 * Yields the output of `transform`. Reads the source to its end even if the transform ends earlier,
 * so that the source's final check runs. Stopping the iteration stops both.
 */
async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array> {
  const input = source[Symbol.asyncIterator]();
  let failure: { readonly error: unknown } | undefined;
  const next = async (): Promise<IteratorResult<Uint8Array>> =>
    input.next().catch((error: unknown) => {
      failure ??= { error };
      throw error;
    });
  // An error on either side destroys the transform, so the loop below throws it; this only prevents
  // an unhandled rejection.
  const done = pipeline({ [Symbol.asyncIterator]: () => ({ next }) }, transform).catch(
    () => undefined,
  );
  try {
    for await (const chunk of transform) yield chunk as Buffer;
    while ((await next()).done !== true);
    if (failure !== undefined) throw failure.error;
  } finally {
    transform.destroy();
    await done;
    await input.return?.();
  }
}

/** Compresses in JavaScript to the same bytes as zlib at this level. */
async function* deflateRawPortable(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const { Deflate } = await import('pako');
  const deflate = new Deflate({ level: level, raw: true, chunkSize: CHUNK });
  let ready: Uint8Array[] = [];
  deflate.onData = (chunk) => void ready.push(Uint8Array.from(chunk));
  for await (const chunk of source) {
    deflate.push(chunk, false);
    yield* ready;
    ready = [];
  }
  deflate.push(new Uint8Array(0), true);
  yield* ready;
}
