// UEFI 2.10, chapter 5: GUID Partition Table (GPT) Disk Layout, with the legacy MBR (5.2)
import { crc32 } from 'node:zlib';
import { type Disk, type Extent, MIB, roundUp, SECTOR_SIZE } from '../bytes/disk.ts';

/** The first sector of the first partition: at 1 MiB, the common alignment. */
export const FIRST_PARTITION_SECTOR: number = MIB / SECTOR_SIZE;

/** Options of `mbrDisk`. */
export interface MbrOptions {
  /** Boot code of at most 440 bytes. */
  readonly code: Uint8Array;
  /** Disk signature, 32 bits. */
  readonly id: number;
}

const ENTRIES = 128;
const ENTRY_SIZE = 128;
const HEADER_SIZE = 92;
const EFI_SYSTEM = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const FAT32_LBA = 0x0c;

/**
 * Returns a BIOS-bootable disk with a file system in the only partition of a master boot record.
 * @param size minimum size of the disk in bytes
 */
export function mbrDisk(content: Disk, { code, id }: MbrOptions, size = 0): Disk {
  const sector = masterBootRecord(code, id, [
    {
      type: FAT32_LBA,
      isActive: true,
      start: FIRST_PARTITION_SECTOR,
      sectors: roundUp(content.size, MIB) / SECTOR_SIZE,
    },
  ]);
  return {
    size: Math.max(roundUp(MIB + content.size, MIB), roundUp(size, MIB)),
    extents: [{ offset: 0, size: SECTOR_SIZE, bytes: () => [sector] }, ...moved(content, MIB)],
  };
}

/** Options of `gptDisk`: two GUIDs as text. */
export interface GptOptions {
  readonly diskId: string;
  readonly partitionId: string;
}

/**
 * Returns a disk with an EFI system partition in a GUID partition table (UEFI 2.10 §5.3).
 * @param size minimum size of the disk in bytes
 */
export function gptDisk(content: Disk, { diskId, partitionId }: GptOptions, size = 0): Disk {
  // The backup table is at the end.
  const total = Math.max(roundUp(MIB + content.size, MIB) + MIB, roundUp(size, MIB));
  const sectors = total / SECTOR_SIZE;
  const entries = Buffer.alloc(ENTRIES * ENTRY_SIZE);
  guid(EFI_SYSTEM).copy(entries, 0);
  guid(partitionId).copy(entries, 16);
  entries.writeBigUInt64LE(BigInt(FIRST_PARTITION_SECTOR), 32);
  entries.writeBigUInt64LE(
    BigInt(FIRST_PARTITION_SECTOR + roundUp(content.size, MIB) / SECTOR_SIZE - 1),
    40,
  );
  entries.write('EFI system partition', 56, 'utf16le');
  const tableSectors = entries.length / SECTOR_SIZE;
  const header = (own: number, other: number, table: number): Buffer => {
    const bytes = Buffer.alloc(SECTOR_SIZE);
    bytes.write('EFI PART', 0, 'latin1');
    bytes.writeUInt32LE(0x1_0000, 8);
    bytes.writeUInt32LE(HEADER_SIZE, 12);
    bytes.writeBigUInt64LE(BigInt(own), 24);
    bytes.writeBigUInt64LE(BigInt(other), 32);
    bytes.writeBigUInt64LE(BigInt(2 + tableSectors), 40);
    bytes.writeBigUInt64LE(BigInt(sectors - 2 - tableSectors), 48);
    guid(diskId).copy(bytes, 56);
    bytes.writeBigUInt64LE(BigInt(table), 72);
    bytes.writeUInt32LE(ENTRIES, 80);
    bytes.writeUInt32LE(ENTRY_SIZE, 84);
    bytes.writeUInt32LE(crc32(entries), 88);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_SIZE)), 16);
    return bytes;
  };
  const protective = masterBootRecord(new Uint8Array(), 0, [
    { type: 0xee, isActive: false, start: 1, sectors: Math.min(sectors - 1, 0xffff_ffff) },
  ]);
  const first = Buffer.concat([protective, header(1, sectors - 1, 2), entries]);
  const last = Buffer.concat([entries, header(sectors - 1, 1, sectors - 1 - tableSectors)]);
  return {
    size: total,
    extents: [
      { offset: 0, size: first.length, bytes: () => [first] },
      ...moved(content, MIB),
      { offset: total - last.length, size: last.length, bytes: () => [last] },
    ],
  };
}

/** An entry of the partition table in a master boot record. */
export interface MbrPartition {
  readonly type: number;
  readonly isActive: boolean;
  /** In sectors, like `sectors`. */
  readonly start: number;
  readonly sectors: number;
}

/**
 * Returns the first sector of a disk. CHS addresses are set to the maximum, because boot loaders
 * use sector numbers.
 */
export function masterBootRecord(
  code: Uint8Array,
  id: number,
  partitions: readonly MbrPartition[],
): Buffer {
  const sector = Buffer.alloc(SECTOR_SIZE);
  sector.set(code.subarray(0, 440));
  sector.writeUInt32LE(id, 440);
  for (const [index, { type, isActive, start, sectors }] of partitions.entries()) {
    const at = 446 + 16 * index;
    sector.writeUInt8(isActive ? 0x80 : 0, at);
    sector.set(start <= 1 ? [0, start + 1, 0] : [0xfe, 0xff, 0xff], at + 1);
    sector.writeUInt8(type, at + 4);
    sector.set([0xfe, 0xff, 0xff], at + 5);
    sector.writeUInt32LE(start, at + 8);
    sector.writeUInt32LE(sectors, at + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** Returns a GUID as stored on disk: its first three groups are little-endian. */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function moved({ extents }: Disk, by: number): readonly Extent[] {
  return extents.map((extent) => ({
    offset: extent.offset + by,
    size: extent.size,
    bytes: () => extent.bytes(),
  }));
}
