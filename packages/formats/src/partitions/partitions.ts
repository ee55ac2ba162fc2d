// UEFI 2.10, chapter 5: GUID Partition Table (GPT) Disk Layout, with the legacy MBR (5.2)
import { crc32 } from 'node:zlib';
import { type Disk, type Extent, inMemory, MIB, roundUp, SECTOR_SIZE } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';

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
const HEADER_SIZE = 92;
const gptHeader = packer('<8sII8xQQQQ16sQIII');
const gptEntry = packer('<16s16sQQ8x72s');
const mbrEntry = packer('<B3sB3sII');
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
    extents: [{ offset: 0, ...inMemory(sector) }, ...moved(content, MIB)],
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
  const last = FIRST_PARTITION_SECTOR + roundUp(content.size, MIB) / SECTOR_SIZE - 1;
  const name = Buffer.from('EFI system partition', 'utf16le');
  const partition = gptEntry(
    guid(EFI_SYSTEM),
    guid(partitionId),
    FIRST_PARTITION_SECTOR,
    last,
    name,
  );
  const entries = Buffer.concat([partition], ENTRIES * partition.length);
  const tableSectors = entries.length / SECTOR_SIZE;
  const header = (own: number, other: number, table: number): Buffer => {
    const bytes = gptHeader(
      'EFI PART',
      0x1_0000,
      HEADER_SIZE,
      own,
      other,
      2 + tableSectors,
      sectors - 2 - tableSectors,
      guid(diskId),
      table,
      ENTRIES,
      partition.length,
      crc32(entries),
    );
    bytes.writeUInt32LE(crc32(bytes), 16);
    return Buffer.concat([bytes], SECTOR_SIZE);
  };
  const protective = masterBootRecord(new Uint8Array(), 0, [
    { type: 0xee, isActive: false, start: 1, sectors: Math.min(sectors - 1, 0xffff_ffff) },
  ]);
  const first = Buffer.concat([protective, header(1, sectors - 1, 2), entries]);
  const backup = Buffer.concat([entries, header(sectors - 1, 1, sectors - 1 - tableSectors)]);
  return {
    size: total,
    extents: [
      { offset: 0, ...inMemory(first) },
      ...moved(content, MIB),
      { offset: total - backup.length, ...inMemory(backup) },
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
  const last = Buffer.of(0xfe, 0xff, 0xff);
  for (const [index, { type, isActive, start, sectors }] of partitions.entries()) {
    const first = start <= 1 ? Buffer.of(0, start + 1, 0) : last;
    const entry = mbrEntry(isActive ? 0x80 : 0, first, type, last, start, sectors);
    entry.copy(sector, 446 + entry.length * index);
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
