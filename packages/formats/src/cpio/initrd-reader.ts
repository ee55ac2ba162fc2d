// https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
import { LktError } from '@lkt/core';
import {
  ByteReader,
  type EntryWithContent,
  gunzipMember,
  UnexpectedEndError,
  unzstdFrame,
} from '@lkt/oci';
import { unlz4 } from '../compression/unlz4.ts';
import { unxz } from '../compression/unxz.ts';
import { CPIO_MAGIC, readCpio } from './cpio-reader.ts';

const GZIP = 0x8b1f;
const ZSTD = 0xfd2fb528;
const LZ4 = 0x184c2102;
const XZ = 0x587a37fd;

const CHUNK = 4096;

/** Most bytes that one archive may unpack to: more than a machine has memory for. */
const MAX_UNPACKED = 64 * 2 ** 30;

/**
 * The entries of all archives of an initrd, whoever made it: each packed or not, with zeros between them, as the kernel
 * takes them. A content is to be read before the next entry is asked for. What comes later is over what came before.
 * @throws LktError ARCHIVE_INVALID; UNSUPPORTED for a compression that is none of those; TOOL_MISSING without xz
 */
export async function* readInitrd(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<EntryWithContent> {
  const reader = new ByteReader(source);
  let count = 0;
  try {
    for (;;) {
      const magic = await pastZeros(reader);
      if (magic === undefined) break;
      count += 1;
      if (magic.toString('latin1') === CPIO_MAGIC) yield* readCpio(reader, magic);
      else yield* unpacked(unpack(reader, magic));
    }
    if (count === 0) throw new LktError('ARCHIVE_INVALID', 'there is no archive in it');
  } catch (error) {
    if (!(error instanceof UnexpectedEndError)) throw error;
    throw new LktError('ARCHIVE_INVALID', 'the initrd is cut off', { cause: error });
  } finally {
    await reader.close();
  }
}

function unpack(reader: ByteReader, magic: Buffer): AsyncIterable<Uint8Array> {
  const limit = { maxBytes: MAX_UNPACKED };
  if (magic.readUInt16LE() === GZIP) return gunzipMember(reader, magic, limit);
  switch (magic.readUInt32LE()) {
    case ZSTD:
      return unzstdFrame(reader, magic, limit);
    case LZ4:
      return unlz4(reader, MAX_UNPACKED);
    case XZ:
      return unxz(reader, magic, MAX_UNPACKED);
    default:
      throw new LktError(
        'UNSUPPORTED',
        `there is something in it that begins with ${magic.toString('hex')}, which is no archive that lkt reads`,
      );
  }
}

/** What was packed: archives, one after the other. */
async function* unpacked(data: AsyncIterable<Uint8Array>): AsyncGenerator<EntryWithContent> {
  const reader = new ByteReader(data);
  try {
    for (;;) {
      const magic = await pastZeros(reader);
      if (magic === undefined) return;
      yield* readCpio(reader, magic);
    }
  } finally {
    await reader.close();
  }
}

/** The first four bytes after zeros; undefined at the end. */
async function pastZeros(reader: ByteReader): Promise<Buffer | undefined> {
  for (;;) {
    const piece = await reader.take(CHUNK);
    if (piece === undefined) return undefined;
    const start = piece.findIndex((byte) => byte !== 0);
    if (start === -1) continue;
    reader.unread(Buffer.from(piece.subarray(start)));
    const magic = await reader.read(4);
    return magic && Buffer.from(magic);
  }
}
