// https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
import { LktError } from '@lkt/core';
import {
  ByteReader,
  type EntryWithContent,
  gunzipMember,
  UnexpectedEndError,
  unzstdFrame,
} from '@lkt/oci';
import { LZ4_MAGIC } from '../compression/lz4.ts';
import { unlz4 } from '../compression/unlz4.ts';
import { unxz } from '../compression/unxz.ts';
import { CPIO_MAGIC, readCpio } from './cpio-reader.ts';
import { UnpackedPaths } from './unpacked-paths.ts';

const GZIP = 0x8b1f;
const ZSTD = 0xfd2fb528;
const XZ = 0x587a37fd;

const CHUNK_SIZE = 4096;

/** Maximum decompressed size of one archive: more than the memory of a machine. */
const MAX_DECOMPRESSED_BYTES = 64 * 2 ** 30;

/**
 * Reads the entries of all archives of an initrd: each compressed or not, with zeros between them,
 * as the kernel reads them. Read a content before requesting the next entry. Later entries replace
 * earlier ones. Paths are those in the unpacked root: symlinks of earlier entries are followed.
 * @throws ARCHIVE_INVALID for invalid or truncated archives
 * @throws UNSUPPORTED for an unknown compression
 * @throws TOOL_MISSING if xz is needed and not installed
 * @example
 * ```ts
 * for await (const { path, type } of readInitrd(fileChunks('initrd.img'))) console.log(path, type);
 * ```
 */
export async function* readInitrd(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<EntryWithContent> {
  const reader = new ByteReader(source);
  const paths = new UnpackedPaths();
  let count = 0;
  try {
    for (;;) {
      const magic = await skipZeros(reader);
      if (magic === undefined) break;
      count += 1;
      if (magic.toString('latin1') === CPIO_MAGIC) yield* readCpio(reader, magic, paths);
      else yield* archivesIn(decompress(reader, magic), paths);
    }
    if (count === 0) throw new LktError('ARCHIVE_INVALID', 'the initrd contains no archive');
  } catch (error) {
    if (!(error instanceof UnexpectedEndError)) throw error;
    throw new LktError('ARCHIVE_INVALID', 'the initrd is truncated', { cause: error });
  } finally {
    await reader.close();
  }
}

function decompress(reader: ByteReader, magic: Buffer): AsyncIterable<Uint8Array> {
  const limit = { maxBytes: MAX_DECOMPRESSED_BYTES };
  if (magic.readUInt16LE() === GZIP) return gunzipMember(reader, magic, limit);
  switch (magic.readUInt32LE()) {
    case ZSTD:
      return unzstdFrame(reader, magic, limit);
    case LZ4_MAGIC:
      return unlz4(reader, MAX_DECOMPRESSED_BYTES);
    case XZ:
      return unxz(reader, magic, MAX_DECOMPRESSED_BYTES);
    default:
      throw new LktError(
        'UNSUPPORTED',
        `the initrd contains data of an unknown format, which begins with ${magic.toString('hex')}`,
      );
  }
}

/** Reads the archives in decompressed data. */
async function* archivesIn(
  data: AsyncIterable<Uint8Array>,
  paths: UnpackedPaths,
): AsyncGenerator<EntryWithContent> {
  const reader = new ByteReader(data);
  try {
    for (;;) {
      const magic = await skipZeros(reader);
      if (magic === undefined) return;
      yield* readCpio(reader, magic, paths);
    }
  } finally {
    await reader.close();
  }
}

/** Skips zeros and reads the next four bytes; undefined at the end. */
async function skipZeros(reader: ByteReader): Promise<Buffer | undefined> {
  for (;;) {
    const piece = await reader.take(CHUNK_SIZE);
    if (piece === undefined) return undefined;
    const start = piece.findIndex((byte) => byte !== 0);
    if (start === -1) continue;
    reader.unread(Buffer.from(piece.subarray(start)));
    const magic = await reader.read(4);
    return magic && Buffer.from(magic);
  }
}
