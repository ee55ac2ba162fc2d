// Microsoft, "Virtual Hard Disk Image Format Specification", 1.0
import { createHash } from 'node:crypto';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { type Disk, pieces, rawBytes, roundUp, runBytes, runsOf, SECTOR } from '../bytes/disk.ts';

const FIXED = 2;
const DYNAMIC = 3;
/** Seconds from 1970 to 2000, where VHD's time begins. */
const EPOCH_2000 = 946_684_800;
const BLOCK = 2 ** 21;
/** A bit for each sector of a block, in a sector. */
const BITMAP = Buffer.alloc(SECTOR, 0xff);

/** A disk as Microsoft's VHD (Virtual Hard Disk Image Format Specification 1.0): all of it, and a footer. */
export async function* vhdBytes(disk: Disk, id: string): AsyncGenerator<Uint8Array> {
  const size = sizeOf(disk);
  yield* rawBytes({ ...disk, size });
  yield footer(size, FIXED, id);
}

/** The same without blocks in which there is nothing. */
export async function* dynamicVhdBytes(disk: Disk, id: string): AsyncGenerator<Uint8Array> {
  const size = sizeOf(disk);
  const end = footer(size, DYNAMIC, id);
  yield end;
  const blocks = Math.ceil(size / BLOCK);
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 0, 'latin1');
  header.fill(0xff, 8, 16);
  header.writeBigUInt64BE(BigInt(SECTOR + header.length), 16);
  header.writeUInt32BE(0x0001_0000, 24);
  header.writeUInt32BE(blocks, 28);
  header.writeUInt32BE(BLOCK, 32);
  header.writeUInt32BE(checksum(header), 36);
  yield header;
  const table = Buffer.alloc(roundUp(blocks * 4, SECTOR), 0xff);
  const runs = runsOf(disk, BLOCK);
  let next = (SECTOR + header.length + table.length) / SECTOR;
  for (const run of runs) {
    for (let at = run.offset; at < run.offset + run.size; at += BLOCK) {
      table.writeUInt32BE(next, (at / BLOCK) * 4);
      next += (BITMAP.length + BLOCK) / SECTOR;
    }
  }
  yield table;
  for (const run of runs) {
    for await (const block of pieces(runBytes(run), BLOCK)) {
      yield BITMAP;
      yield block;
    }
  }
  yield end;
}

/** Azure takes whole MiB only. */
function sizeOf({ size }: Disk): number {
  return roundUp(size, 2 ** 20);
}

function footer(size: number, type: number, id: string): Buffer {
  const bytes = Buffer.alloc(SECTOR);
  bytes.write('conectix', 0, 'latin1');
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(0x0001_0000, 12);
  if (type === FIXED) bytes.fill(0xff, 16, 24);
  else bytes.writeBigUInt64BE(BigInt(SECTOR), 16);
  bytes.writeUInt32BE(SOURCE_DATE_EPOCH - EPOCH_2000, 24);
  // qemu-img and Xen take the size from the field, not from the geometry, for this name.
  bytes.write('win ', 28, 'latin1');
  bytes.writeUInt32BE(0x0005_0003, 32);
  bytes.write('Wi2k', 36, 'latin1');
  bytes.writeBigUInt64BE(BigInt(size), 40);
  bytes.writeBigUInt64BE(BigInt(size), 48);
  geometry(size / SECTOR).copy(bytes, 56);
  bytes.writeUInt32BE(type, 60);
  createHash('sha256').update(`vhd ${id}`).digest().copy(bytes, 68, 0, 16);
  bytes.writeUInt32BE(checksum(bytes), 64);
  return bytes;
}

/** Cylinders, heads and sectors per track, as the specification's appendix computes them. */
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

/** The complement of the sum of all bytes, the checksum being zero. */
function checksum(bytes: Uint8Array): number {
  return ~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0;
}
