import { writeFile } from 'node:fs/promises';
import { isErrno, LktError } from '@lkt/core';

const SECTOR = 2048;
/** Positions of the parts in sectors. The system area precedes them (ECMA-119, 6.2.1). */
const PRIMARY = 16;
const TERMINATOR = 17;
const PATHS_LITTLE = 18;
const PATHS_BIG = 19;
const ROOT = 20;
const FILE = 21;
/** Minimum for libarchive to recognise an ISO image. */
const MIN_SECTORS = 32;
const PATH_TABLE_SIZE = 10;
/** Linux shows it as `config`. */
const FILE_NAME = 'CONFIG.;1';
/** Bytes. The metadata is in memory, and no guest reads more. */
const MAX_METADATA_BYTES = 16 * 2 ** 20;

/**
 * Returns an ISO 9660 image with one file, `config`, in which LinuxKit's guests look for metadata.
 * Equal metadata gives equal bytes: the image contains no times.
 * @throws USAGE_INVALID for more than 16 MiB
 */
export function metadataDisk(metadata: Uint8Array): Buffer {
  if (metadata.length > MAX_METADATA_BYTES)
    throw new LktError('USAGE_INVALID', `metadata of ${metadata.length} bytes exceeds 16 MiB`, {
      fix: 'put large files into the image or on a disk',
    });
  const sectors = Math.max(MIN_SECTORS, FILE + Math.ceil(metadata.length / SECTOR));
  const disk = Buffer.alloc(sectors * SECTOR);
  primary(disk.subarray(PRIMARY * SECTOR), sectors);
  descriptor(disk.subarray(TERMINATOR * SECTOR), 255);
  for (const [sector, isBig] of [
    [PATHS_LITTLE, false],
    [PATHS_BIG, true],
  ] as const) {
    const table = disk.subarray(sector * SECTOR);
    table[0] = 1;
    if (isBig) table.writeUInt32BE(ROOT, 2);
    else table.writeUInt32LE(ROOT, 2);
    table[isBig ? 7 : 6] = 1;
  }
  const directory = Buffer.concat([
    record(ROOT, SECTOR, '\0', true),
    record(ROOT, SECTOR, '\u0001', true),
    record(metadata.length === 0 ? 0 : FILE, metadata.length, FILE_NAME, false),
  ]);
  directory.copy(disk, ROOT * SECTOR);
  disk.set(metadata, FILE * SECTOR);
  return disk;
}

/**
 * Writes a metadata disk.
 * @returns size in bytes
 * @throws USAGE_INVALID, IO_FAILED
 */
export async function writeMetadataDisk(path: string, metadata: Uint8Array): Promise<number> {
  const disk = metadataDisk(metadata);
  try {
    await writeFile(path, disk);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EISDIR', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS')) throw error;
    throw new LktError('IO_FAILED', `cannot write ${path}`, { cause: error });
  }
  return disk.length;
}

/** Writes the primary volume descriptor (ECMA-119, 8.4). */
function primary(sector: Buffer, sectors: number): void {
  descriptor(sector, 1);
  sector.fill(' ', 8, 72).write('CONFIG', 40, 'latin1');
  both(sectors, 4).copy(sector, 80);
  for (const at of [120, 124]) both(1, 2).copy(sector, at);
  both(SECTOR, 2).copy(sector, 128);
  both(PATH_TABLE_SIZE, 4).copy(sector, 132);
  sector.writeUInt32LE(PATHS_LITTLE, 140);
  sector.writeUInt32BE(PATHS_BIG, 148);
  record(ROOT, SECTOR, '\0', true).copy(sector, 156);
  sector.fill(' ', 190, 813);
  // Sixteen zeros mean no time (8.4.26.1).
  for (const at of [813, 830, 847, 864]) sector.fill('0', at, at + 16);
  sector[881] = 1;
}

function descriptor(sector: Buffer, type: number): void {
  sector[0] = type;
  sector.write('CD001', 1, 'latin1');
  sector[6] = 1;
}

/** Returns a directory record (ECMA-119, 9.1). */
function record(start: number, size: number, name: string, isDirectory: boolean): Buffer {
  const bytes = Buffer.alloc((33 + name.length + 1) & ~1);
  bytes[0] = bytes.length;
  both(start, 4).copy(bytes, 2);
  both(size, 4).copy(bytes, 10);
  bytes[25] = isDirectory ? 2 : 0;
  both(1, 2).copy(bytes, 28);
  bytes[32] = name.length;
  bytes.write(name, 33, 'latin1');
  return bytes;
}

/** Returns a number in little-endian order, then in big-endian order (ECMA-119, 7.2.3, 7.3.3). */
function both(value: number, size: 2 | 4): Buffer {
  const bytes = Buffer.alloc(2 * size);
  bytes.writeUIntLE(value, 0, size);
  bytes.writeUIntBE(value, size, size);
  return bytes;
}
