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
import type { Descriptor } from './descriptor.ts';
import { readGzipMember } from './gzip-member.ts';
import { MediaType } from './media-type.ts';
import type { ByteReader } from './byte-reader.ts';
import { zstdFrame, zstdFrames } from './zstd-frames.ts';

/** The level of every gzip stream lkt writes; part of the engine epoch. */
const GZIP_LEVEL = 4;

// RFC 1952, 2.3: deflate, no flags, no time, no extra flags, unknown system: nothing of the machine shows.
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const CHUNK = 64 * 1024;
/** Of what is unpacked: each piece is a task for another thread, which costs. */
const UNPACKED_CHUNK = 256 * 1024;
/**
 * What libzstd is given at a time. Its bytes are the same for whole blocks of 128 KiB, however many; each time is a task
 * for another thread, which costs more than half of what compressing a block does.
 */
export const ZSTD_CHUNK_BYTES: number = 512 * 1024;
/** 128 MiB: what `zstd -d` takes without being asked. It bounds the memory of a decompressor. */
const ZSTD_MAX_WINDOW_LOG = 27;
/** The next chunk is asked for when the last, however short, was used: what gives them may write over it then. */
const ONE_AT_A_TIME = { writableHighWaterMark: 1 };

/**
 * gzip whose bytes depend on the content alone: not on the machine, the time, the zlib of this Node, or the sizes of
 * the pieces the source gives.
 */
export async function* gzip(
  source: AsyncIterable<Uint8Array>,
  level: number = GZIP_LEVEL,
): AsyncGenerator<Uint8Array> {
  let checksum = 0;
  let size = 0;
  const counted = map(source, (chunk) => {
    checksum = crc32(chunk, checksum);
    size += chunk.length;
    return chunk;
  });
  yield GZIP_HEADER;
  if (isKnownZlib()) {
    yield* through(counted, createDeflateRaw({ level, chunkSize: CHUNK, ...ONE_AT_A_TIME }));
  } else {
    yield* deflateRawPortable(counted, level);
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield trailer;
}

/**
 * @throws LktError ARCHIVE_INVALID for anything but whole gzip members, or more than `maxBytes` of output.
 */
export function gunzip(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed(
    'gzip',
    through(source, createGunzip({ chunkSize: UNPACKED_CHUNK, ...ONE_AT_A_TIME })),
    options,
  );
}

/**
 * Zstandard, for those who ask for it: its bytes change with the version of libzstd, so no digest that must be
 * reproduced may depend on them.
 */
export function zstd(
  source: AsyncIterable<Uint8Array>,
  level: number = constants.ZSTD_CLEVEL_DEFAULT,
): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const transform = createZstdCompress({ chunkSize: UNPACKED_CHUNK, params, ...ONE_AT_A_TIME });
  return through(rechunk(source, ZSTD_CHUNK_BYTES), transform);
}

/** @throws LktError ARCHIVE_INVALID for anything but whole frames, or more than `maxBytes` of output. */
export function unzstd(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed('zstd', unzstdFrames(source), options);
}

async function* unzstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_MAX_WINDOW_LOG };
  for await (const frame of zstdFrames(source))
    yield* through(
      frame,
      createZstdDecompress({ chunkSize: UNPACKED_CHUNK, params, ...ONE_AT_A_TIME }),
    );
}

/**
 * One frame of zstd, of which the magic number was read, in a source that goes on with something else.
 * @throws LktError ARCHIVE_INVALID
 */
export function unzstdFrame(
  reader: ByteReader,
  magic: Buffer,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_MAX_WINDOW_LOG };
  const transform = createZstdDecompress({ chunkSize: UNPACKED_CHUNK, params });
  return decompressed('zstd', through(zstdFrame(reader, magic), transform), options);
}

/** The same of a member of gzip, of which the first four bytes were read. */
export function gunzipMember(
  reader: ByteReader,
  start: Buffer,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  return decompressed('gzip', readGzipMember(reader, start), options);
}

export interface DecompressOptions {
  /** Most bytes that may come out; default 64 GiB. */
  readonly maxBytes?: number;
}

/**
 * The tar archive in a layer's blob, by the descriptor's media type.
 * @throws LktError UNSUPPORTED for a type that is no layer.
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
        `layer ${descriptor.digest} has the type "${descriptor.mediaType}", which is not a file system`,
      );
  }
}

async function* decompressed(
  name: string,
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
          `the ${name} data unpacks to more than ${maxBytes} bytes`,
        );
      }
      yield chunk;
      collectChunks(chunk.length);
    }
  } catch (cause) {
    if (!isZlibError(cause)) throw cause;
    throw new LktError('ARCHIVE_INVALID', `the ${name} data is broken: ${cause.message}`, {
      cause,
    });
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
 * What `transform` makes of the source, which is read to its end even where the transform ends before it: what checks
 * the source as a whole does so there. Whoever stops reading stops both.
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
  // An error of either destroys the transform, so reading throws it; here it only must not go unhandled.
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

/** The same bytes zlib gives at this level, in JavaScript. */
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

async function* rechunk(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  let chunk = Buffer.allocUnsafeSlow(size);
  let used = 0;
  for await (const part of source) {
    if (used === 0 && part.length === size) {
      yield part;
      continue;
    }
    let rest = part;
    while (rest.length > 0) {
      const piece = rest.subarray(0, size - used);
      chunk.set(piece, used);
      used += piece.length;
      rest = rest.subarray(piece.length);
      if (used < size) continue;
      yield chunk;
      chunk = Buffer.allocUnsafeSlow(size);
      used = 0;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
}

async function* map(
  source: AsyncIterable<Uint8Array>,
  use: (chunk: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield use(chunk);
}
