// Microsoft, "Virtual Hard Disk Image Format Specification", 1.0
import { createHash } from 'node:crypto';
import { LktError } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { blocksOf } from '../bytes/blocks.ts';
import { type Disk, MIB, rawBytes, roundUp, runBytes, runsOf, SECTOR_SIZE } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';

const FIXED = 2;
const DYNAMIC = 3;
/** Seconds from 1970 to 2000, the epoch of VHD. */
const EPOCH_2000 = 946_684_800;
const BLOCK_SIZE = 2 ** 21;
/** A bit for each sector of a block, in one sector. */
const BITMAP = Buffer.alloc(SECTOR_SIZE, 0xff);
const NO_OFFSET = 0xffff_ffff_ffff_ffffn;
const VERSION = 0x0001_0000;
/** Hyper-V and QEMU read no larger ones. */
const MAX_SIZE = 2040 * 2 ** 30;
const footerRecord = packer('>8sIIQI4sI4sQQ4sI4x16s428x');
const dynamicHeader = packer('>8sQQIII988x');
const diskGeometry = packer('>HBB');

/**
 * Streams a disk as fixed VHD (Virtual Hard Disk Image Format Specification 1.0): the whole disk
 * and a footer.
 * @throws UNSUPPORTED for more than 2040 GiB
 */
export async function* vhdBytes(disk: Disk, id: string): AsyncGenerator<Uint8Array> {
  const size = sizeOf(disk);
  yield* rawBytes({ ...disk, size });
  yield footer(size, FIXED, id);
}

/**
 * Streams a disk as dynamic VHD, without empty blocks.
 * @throws UNSUPPORTED for more than 2040 GiB
 */
export async function* dynamicVhdBytes(disk: Disk, id: string): AsyncGenerator<Uint8Array> {
  const size = sizeOf(disk);
  const end = footer(size, DYNAMIC, id);
  yield end;
  const blocks = Math.ceil(size / BLOCK_SIZE);
  const tableAt = SECTOR_SIZE + 1024;
  const header = dynamicHeader('cxsparse', NO_OFFSET, tableAt, VERSION, blocks, BLOCK_SIZE);
  header.writeUInt32BE(checksum(header), 36);
  yield header;
  const table = Buffer.alloc(roundUp(blocks * 4, SECTOR_SIZE), 0xff);
  const runs = runsOf(disk, BLOCK_SIZE);
  let next = (tableAt + table.length) / SECTOR_SIZE;
  for (const run of runs) {
    for (let at = run.offset; at < run.offset + run.size; at += BLOCK_SIZE) {
      table.writeUInt32BE(next, (at / BLOCK_SIZE) * 4);
      next += (BITMAP.length + BLOCK_SIZE) / SECTOR_SIZE;
    }
  }
  yield table;
  for (const run of runs) {
    for await (const block of blocksOf(runBytes(run), BLOCK_SIZE)) {
      yield BITMAP;
      yield block;
    }
  }
  yield end;
}

/** Azure accepts only whole MiB. */
function sizeOf({ size }: Disk): number {
  const whole = roundUp(size, MIB);
  if (whole <= MAX_SIZE) return whole;
  throw new LktError(
    'UNSUPPORTED',
    `the disk has ${whole / MIB} MiB; a VHD has at most ${MAX_SIZE / MIB}`,
    { fix: 'use a smaller --size, or another --format' },
  );
}

function footer(size: number, type: number, id: string): Buffer {
  const bytes = footerRecord(
    'conectix',
    2,
    VERSION,
    type === FIXED ? NO_OFFSET : SECTOR_SIZE,
    SOURCE_DATE_EPOCH - EPOCH_2000,
    // For this creator, qemu-img and Xen read the size from its field, not from the geometry.
    'win ',
    0x0005_0003,
    'Wi2k',
    size,
    size,
    geometry(size / SECTOR_SIZE),
    type,
    createHash('sha256').update(`vhd ${id}`).digest().subarray(0, 16),
  );
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
  return diskGeometry(Math.floor(tracks / heads), heads, perTrack);
}

/** Returns the one's complement of the sum of all bytes, with the checksum field zero. */
function checksum(bytes: Uint8Array): number {
  return ~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0;
}
