// Microsoft, "Virtual Hard Disk Image Format Specification", 1.0
import { createHash } from 'node:crypto';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import {
  type Disk,
  paddedBlocks,
  rawBytes,
  roundUp,
  runBytes,
  runsOf,
  SECTOR_SIZE,
} from '../bytes/disk.ts';

const FIXED = 2;
const DYNAMIC = 3;
/** Seconds from 1970 to 2000, the epoch of VHD. */
const EPOCH_2000 = 946_684_800;
const BLOCK_SIZE = 2 ** 21;
/** A bit for each sector of a block, in one sector. */
const BITMAP = Buffer.alloc(SECTOR_SIZE, 0xff);

/**
 * Streams a disk as fixed VHD (Virtual Hard Disk Image Format Specification 1.0): the whole disk
 * and a footer.
 */
export async function* vhdBytes(disk: Disk, id: string): AsyncGenerator<Uint8Array> {
  const size = sizeOf(disk);
  yield* rawBytes({ ...disk, size });
  yield footer(size, FIXED, id);
}

/** Streams a disk as dynamic VHD, without empty blocks. */
export async function* dynamicVhdBytes(disk: Disk, id: string): AsyncGenerator<Uint8Array> {
  const size = sizeOf(disk);
  const end = footer(size, DYNAMIC, id);
  yield end;
  const blocks = Math.ceil(size / BLOCK_SIZE);
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 0, 'latin1');
  header.fill(0xff, 8, 16);
  header.writeBigUInt64BE(BigInt(SECTOR_SIZE + header.length), 16);
  header.writeUInt32BE(0x0001_0000, 24);
  header.writeUInt32BE(blocks, 28);
  header.writeUInt32BE(BLOCK_SIZE, 32);
  header.writeUInt32BE(checksum(header), 36);
  yield header;
  const table = Buffer.alloc(roundUp(blocks * 4, SECTOR_SIZE), 0xff);
  const runs = runsOf(disk, BLOCK_SIZE);
  let next = (SECTOR_SIZE + header.length + table.length) / SECTOR_SIZE;
  for (const run of runs) {
    for (let at = run.offset; at < run.offset + run.size; at += BLOCK_SIZE) {
      table.writeUInt32BE(next, (at / BLOCK_SIZE) * 4);
      next += (BITMAP.length + BLOCK_SIZE) / SECTOR_SIZE;
    }
  }
  yield table;
  for (const run of runs) {
    for await (const block of paddedBlocks(runBytes(run), BLOCK_SIZE)) {
      yield BITMAP;
      yield block;
    }
  }
  yield end;
}

/** Azure accepts only whole MiB. */
function sizeOf({ size }: Disk): number {
  return roundUp(size, 2 ** 20);
}

function footer(size: number, type: number, id: string): Buffer {
  const bytes = Buffer.alloc(SECTOR_SIZE);
  bytes.write('conectix', 0, 'latin1');
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(0x0001_0000, 12);
  if (type === FIXED) bytes.fill(0xff, 16, 24);
  else bytes.writeBigUInt64BE(BigInt(SECTOR_SIZE), 16);
  bytes.writeUInt32BE(SOURCE_DATE_EPOCH - EPOCH_2000, 24);
  // For this creator, qemu-img and Xen read the size from its field, not from the geometry.
  bytes.write('win ', 28, 'latin1');
  bytes.writeUInt32BE(0x0005_0003, 32);
  bytes.write('Wi2k', 36, 'latin1');
  bytes.writeBigUInt64BE(BigInt(size), 40);
  bytes.writeBigUInt64BE(BigInt(size), 48);
  geometry(size / SECTOR_SIZE).copy(bytes, 56);
  bytes.writeUInt32BE(type, 60);
  createHash('sha256').update(`vhd ${id}`).digest().copy(bytes, 68, 0, 16);
  bytes.writeUInt32BE(checksum(bytes), 64);
  return bytes;
}

/** Returns cylinders, heads and sectors per track, computed as in the specification's appendix. */
function geometry(sectors: number): Buffer {
  const total = Math.min(sectors, 65_535 * 16 * 255);
  let perTrack = 255;
  let heads = 16;
  let tracks = Math.floor(total / perTrack);
  if (total < 65_535 * 16 * 63) {
    perTrack = 17;
    tracks = Math.floor(total / perTrack);
    heads = Math.max(4, Math.floor((tracks + 1023) / 1024));
    if (tracks >= heads * 1024 || heads > 16) {
      perTrack = 31;
      heads = 16;
      tracks = Math.floor(total / perTrack);
    }
    if (tracks >= heads * 1024) {
      perTrack = 63;
      heads = 16;
      tracks = Math.floor(total / perTrack);
    }
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(Math.floor(tracks / heads), 0);
  bytes.writeUInt8(heads, 2);
  bytes.writeUInt8(perTrack, 3);
  return bytes;
}

/** Returns the one's complement of the sum of all bytes, with the checksum field zero. */
function checksum(bytes: Uint8Array): number {
  return ~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0;
}
