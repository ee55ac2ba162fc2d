import { once } from 'node:events';
import { crc32, createInflateRaw } from 'node:zlib';
import type { LktError } from '@lkt/core';
import type { ByteReader } from '../io/byte-reader.ts';
import { corruptData } from './corrupt-data.ts';

const CHUNK = 64 * 1024;
const UNPACKED_CHUNK = 256 * 1024;
/** Maximum bytes of the header's name and comment. */
const MAX_TEXT = 64 * 1024;

/**
 * Decompresses one gzip member (RFC 1952) whose first four bytes were read, and leaves the reader
 * at its end. Node's decompressor would parse what follows as another member.
 * @throws ARCHIVE_INVALID, UnexpectedEndError, or zlib's error
 */
export async function* readGzipMember(
  reader: ByteReader,
  start: Buffer,
): AsyncGenerator<Uint8Array> {
  await skipHeader(reader, start);
  let sum = 0;
  let size = 0;
  for await (const chunk of inflated(reader)) {
    sum = crc32(chunk, sum);
    size += chunk.length;
    yield chunk;
  }
  const trailer = await reader.readExactly(8);
  if (trailer.readUInt32LE() !== sum || trailer.readUInt32LE(4) !== size % 2 ** 32)
    throw broken('checksum or length mismatch');
}

async function skipHeader(reader: ByteReader, start: Buffer): Promise<void> {
  const flags = start[3] ?? 0;
  if (start[2] !== 8 || (flags & 0xe0) !== 0) throw broken('unsupported header');
  await reader.skip(6);
  if ((flags & 4) !== 0) await reader.skip((await reader.readExactly(2)).readUInt16LE());
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue;
    for (let length = 0; (await reader.readExactly(1))[0] !== 0; length += 1)
      if (length > MAX_TEXT) throw broken('its name or comment is too long');
  }
  if ((flags & 2) !== 0) await reader.skip(2);
}

/** Inflates raw deflate data and puts unused input back into the reader. */
async function* inflated(reader: ByteReader): AsyncGenerator<Uint8Array> {
  const transform = createInflateRaw({ chunkSize: UNPACKED_CHUNK });
  const ended = once(transform, 'close').catch(() => undefined);
  const feed = async (): Promise<void> => {
    for (let fed = 0; ;) {
      const piece = await reader.take(CHUNK);
      if (piece === undefined) return void transform.end();
      fed += piece.length;
      const taken = new Promise<void>((resolve) => {
        transform.write(piece, () => resolve());
      });
      await Promise.race([taken, ended]);
      const rest = fed - transform.bytesWritten;
      if (rest > 0) return reader.unread(Buffer.from(piece.subarray(piece.length - rest)));
    }
  };
  const feeding = feed().catch((error: unknown) => {
    transform.destroy(error as Error);
  });
  try {
    for await (const chunk of transform) yield chunk as Buffer;
  } finally {
    transform.destroy();
    await feeding;
  }
}

function broken(what: string): LktError {
  return corruptData('gzip', what);
}
