// VMware, "Virtual Disk Format 5.0": monolithicSparse
import { type Disk, roundUp, runBytes, runsOf, SECTOR_SIZE } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';

/** Sizes and offsets in sectors. */
const GRAIN_SECTORS = 128;
const DESCRIPTOR_AT = 1;
const DESCRIPTOR_SIZE = 20;
const GRAINS_PER_TABLE = 512;
const header = packer('<4sIIQQQQIQQQx4s');
const TABLE_SIZE = (GRAINS_PER_TABLE * 4) / SECTOR_SIZE;

/**
 * Streams a disk as a VMDK in one file (Virtual Disk Format 5.0: monolithicSparse), without empty
 * grains.
 * @param fileName name of the written file, which refers to itself
 * @param id content id, 32 bits
 */
export async function* vmdkBytes(
  disk: Disk,
  fileName: string,
  id: number,
): AsyncGenerator<Uint8Array> {
  const capacity = roundUp(disk.size / SECTOR_SIZE, GRAIN_SECTORS);
  const tables = Math.ceil(capacity / GRAIN_SECTORS / GRAINS_PER_TABLE);
  const directorySize = Math.ceil((tables * 4) / SECTOR_SIZE);
  const copySize = directorySize + tables * TABLE_SIZE;
  const spareAt = DESCRIPTOR_AT + DESCRIPTOR_SIZE;
  const directoryAt = spareAt + copySize;
  const dataAt = roundUp(directoryAt + copySize, GRAIN_SECTORS);

  const head = Buffer.alloc(dataAt * SECTOR_SIZE);
  const fields = header(
    'KDMV',
    1,
    3,
    capacity,
    GRAIN_SECTORS,
    DESCRIPTOR_AT,
    DESCRIPTOR_SIZE,
    GRAINS_PER_TABLE,
    spareAt,
    directoryAt,
    dataAt,
    '\n \r\n',
  );
  fields.copy(head);
  head.write(descriptor(capacity, fileName, id), DESCRIPTOR_AT * SECTOR_SIZE, 'utf8');

  const runs = runsOf(disk, GRAIN_SECTORS * SECTOR_SIZE);
  for (const at of [spareAt, directoryAt]) {
    for (let table = 0; table < tables; table += 1)
      head.writeUInt32LE(at + directorySize + table * TABLE_SIZE, at * SECTOR_SIZE + 4 * table);
    let next = dataAt;
    for (const { offset, size } of runs) {
      const first = offset / SECTOR_SIZE / GRAIN_SECTORS;
      for (let grain = first; grain < first + size / SECTOR_SIZE / GRAIN_SECTORS; grain += 1) {
        head.writeUInt32LE(next, (at + directorySize) * SECTOR_SIZE + 4 * grain);
        next += GRAIN_SECTORS;
      }
    }
  }
  yield head;
  for (const run of runs) yield* runBytes(run);
}

function descriptor(capacity: number, fileName: string, id: number): string {
  return `# Disk DescriptorFile
version=1
CID=${id.toString(16).padStart(8, '0')}
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW ${capacity} SPARSE "${fileName}"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "${Math.min(16_383, Math.floor(capacity / 16 / 63))}"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "lsilogic"
`;
}
