// Microsoft, "FAT: General Overview of On-Disk Format", 1.03
import { LktError } from '@lkt/core';
import { parentPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import {
  type Content,
  type Disk,
  type Extent,
  inMemory,
  roundUp,
  SECTOR_SIZE,
} from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';

/**
 * A file of a FAT file system. Its path has 8.3 names; base and extension are each all lower or all
 * upper case.
 */
export interface FatFile extends Content {
  readonly path: string;
}

/** Options of `planFat`. */
export interface FatOptions {
  /** FAT32, as disks require, or the smallest kind that fits. */
  readonly kind: 'fat32' | 'smallest';
  /** Volume serial number, 32 bits. */
  readonly id: number;
  /** Up to eleven capital letters. */
  readonly label: string;
  /** Number of sectors of the disk before the file system (BPB_HiddSec). */
  readonly hidden?: number;
}

/** A FAT file system with known locations. */
export interface FatImage {
  readonly size: number;
  readonly bits: FatBits;
  /**
   * Returns the first sector of a file, from the beginning of the file system. Its others follow.
   */
  sectorOf(path: string): number;
  /**
   * Returns the file system as a disk.
   * @param bootSector boot code, into which the BIOS parameter block is written
   */
  disk(bootSector?: Uint8Array): Disk;
}

type FatBits = 12 | 16 | 32;

interface Geometry {
  readonly bits: FatBits;
  readonly sectorsPerCluster: number;
  readonly clusters: number;
  readonly reserved: number;
  readonly rootSectors: number;
  readonly fatSectors: number;
  readonly sectors: number;
}

interface Node {
  /** Empty for the root. */
  readonly name: string;
  readonly file?: FatFile;
  readonly children: Node[];
  readonly parent?: Node;
  cluster: number;
  clusters: number;
}

const ENTRY_SIZE = 32;
const ROOT_ENTRIES = 512;
/**
 * Numbers of clusters from which a file system is FAT16 and FAT32. `MARGIN` avoids the boundaries,
 * which some implementations get wrong.
 */
const FAT16_FROM = 4085;
const FAT32_FROM = 65_525;
const MARGIN = 16;
const END_OF_CHAIN = 0x0fff_ffff;
const MEDIA = 0xf8;
const BACKUP_BOOT_SECTOR = 6;

/**
 * Plans a FAT file system (Microsoft's FAT specification 1.03) with contiguous files in the given
 * order. Its bytes depend only on the files and options.
 * @throws UNSUPPORTED for a file of 4 GiB or more
 */
export function planFat(files: readonly FatFile[], options: FatOptions): FatImage {
  for (const { path, size } of files)
    if (size > 0xffff_ffff)
      throw new LktError(
        'UNSUPPORTED',
        `${path} has ${size} bytes; a file in FAT must be smaller than 4 GiB`,
      );
  const nodes = treeOf(files);
  const geometry = geometryOf(nodes, options.kind);
  const { bits, sectorsPerCluster, reserved, fatSectors, rootSectors } = geometry;
  const clusterSize = sectorsPerCluster * SECTOR_SIZE;
  let next = 2;
  for (const node of nodes) {
    node.clusters = clustersOf(node, clusterSize, bits);
    node.cluster = node.clusters === 0 ? 0 : next;
    next += node.clusters;
  }
  const dataSector = reserved + 2 * fatSectors + rootSectors;
  const sectorOf = ({ cluster }: Node): number => dataSector + (cluster - 2) * sectorsPerCluster;
  return {
    size: geometry.sectors * SECTOR_SIZE,
    bits,
    sectorOf: (path) => {
      const node = nodes.find(({ file }) => file?.path === path);
      if (node === undefined) throw new Error(`there is no ${path}`);
      return sectorOf(node);
    },
    disk: (code) => {
      const boot = bootSector(geometry, options, code);
      const table = allocationTable(nodes, bits, next);
      const extents: Extent[] = [extentAt(0, boot)];
      if (bits === 32) {
        const info = infoSector(geometry, next);
        extents.push(
          extentAt(1, info),
          extentAt(BACKUP_BOOT_SECTOR, boot),
          extentAt(BACKUP_BOOT_SECTOR + 1, info),
        );
      }
      extents.push(extentAt(reserved, table), extentAt(reserved + fatSectors, table));
      if (bits !== 32)
        extents.push(extentAt(dataSector - rootSectors, directory(nodes[0], options.label)));
      for (const node of nodes) {
        if (node.cluster === 0) continue;
        const data = node.file ?? inMemory(directory(node, options.label));
        const offset = sectorOf(node) * SECTOR_SIZE;
        extents.push({ offset, size: data.size, bytes: () => data.bytes() });
      }
      return { size: geometry.sectors * SECTOR_SIZE, extents };
    },
  };
}

function extentAt(sector: number, data: Uint8Array): Extent {
  return { offset: sector * SECTOR_SIZE, ...inMemory(data) };
}

/** Returns the root, then directories before their contents, then files in the given order. */
function treeOf(files: readonly FatFile[]): readonly Node[] {
  const root: Node = { name: '', children: [], cluster: 0, clusters: 0 };
  const directories = new Map<string, Node>([['', root]]);
  const leaves: Node[] = [];
  const add = (path: string, parent: Node, file?: FatFile): Node => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const node: Node = { name, file, children: [], parent, cluster: 0, clusters: 0 };
    parent.children.push(node);
    return node;
  };
  const directoryAt = (path: string): Node => {
    const known = directories.get(path);
    if (known !== undefined) return known;
    const node = add(path, directoryAt(parentPath(path)));
    directories.set(path, node);
    return node;
  };
  for (const file of files) leaves.push(add(file.path, directoryAt(parentPath(file.path)), file));
  return [...directories.values(), ...leaves];
}

function clustersOf(node: Node, clusterSize: number, bits: FatBits): number {
  if (node.file !== undefined) return Math.ceil(node.file.size / clusterSize);
  if (node.parent === undefined && bits !== 32) return 0;
  return Math.ceil(((node.children.length + 2) * ENTRY_SIZE) / clusterSize);
}

function geometryOf(nodes: readonly Node[], kind: FatOptions['kind']): Geometry {
  const needed = (sectorsPerCluster: number, bits: FatBits): number =>
    nodes.reduce((sum, node) => sum + clustersOf(node, sectorsPerCluster * SECTOR_SIZE, bits), 0);
  for (let sectorsPerCluster = 1; ; sectorsPerCluster *= 2) {
    const isLargest = sectorsPerCluster === 64;
    if (kind === 'smallest') {
      const clusters = needed(sectorsPerCluster, 16);
      if (clusters < FAT16_FROM - MARGIN) return layOut(12, sectorsPerCluster, clusters + 1);
      if (clusters < FAT32_FROM - MARGIN)
        return layOut(16, sectorsPerCluster, Math.max(clusters, FAT16_FROM + MARGIN));
      if (!isLargest) continue;
    }
    // The limit is twice the one in the specification's table.
    const clusters = needed(sectorsPerCluster, 32);
    if (clusters < 8 * FAT32_FROM || isLargest)
      return layOut(32, sectorsPerCluster, Math.max(clusters, FAT32_FROM + MARGIN));
  }
}

function layOut(bits: FatBits, sectorsPerCluster: number, clusters: number): Geometry {
  const reserved = bits === 32 ? 32 : 1;
  const rootSectors = bits === 32 ? 0 : (ROOT_ENTRIES * ENTRY_SIZE) / SECTOR_SIZE;
  const fatSectors = Math.ceil(((clusters + 2) * bits) / 8 / SECTOR_SIZE);
  const sectors = reserved + 2 * fatSectors + rootSectors + clusters * sectorsPerCluster;
  return { bits, sectorsPerCluster, clusters, reserved, rootSectors, fatSectors, sectors };
}

function bootSector(
  { bits, sectorsPerCluster, reserved, rootSectors, fatSectors, sectors }: Geometry,
  { id, label, hidden = 0 }: FatOptions,
  code: Uint8Array = NO_CODE,
): Buffer {
  const isFat32 = bits === 32;
  const isSmall = !isFat32 && sectors < 0x1_0000;
  const parameters = [
    biosParameters(
      code === NO_CODE ? 'LKT' : 'SYSLINUX',
      SECTOR_SIZE,
      sectorsPerCluster,
      reserved,
      2,
      rootSectors === 0 ? 0 : ROOT_ENTRIES,
      isSmall ? sectors : 0,
      MEDIA,
      isFat32 ? 0 : fatSectors,
      63,
      255,
      hidden,
      isSmall ? 0 : sectors,
    ),
    isFat32 ? fat32Parameters(fatSectors, 2, 1, BACKUP_BOOT_SECTOR) : Buffer.alloc(0),
    extendedParameters(0x80, 0x29, id, label.padEnd(11), `FAT${bits}   `),
  ];
  const sector = Buffer.alloc(SECTOR_SIZE);
  sector.set(code);
  Buffer.concat(parameters).copy(sector, 3);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

const biosParameters = packer('<8sHBHBHHBHHHII');
const fat32Parameters = packer('<I4xIHH12x');
const extendedParameters = packer('<BxBI11s8s');
const infoRecord = packer('<4s480x4sII12xI');
const directoryEntry = packer('<11sBBxHHHHHHHI');

/** Without a boot loader the sector jumps to the position of the code and halts there. */
const NO_CODE: Uint8Array = Buffer.concat(
  [Buffer.of(0xeb, 0x58, 0x90), Buffer.alloc(87), Buffer.of(0xf4, 0xeb, 0xfd)],
  SECTOR_SIZE,
);

function infoSector({ clusters }: Geometry, next: number): Buffer {
  return infoRecord('RRaA', 'rrAa', clusters + 2 - next, next, 0xaa55_0000);
}

/** Returns the used part of the table, in whole sectors. */
function allocationTable(nodes: readonly Node[], bits: FatBits, next: number): Buffer {
  const table = Buffer.alloc(roundUp(Math.ceil((next * bits) / 8), SECTOR_SIZE));
  const set = (cluster: number, value: number): void => {
    if (bits === 32) table.writeUInt32LE(value, cluster * 4);
    else if (bits === 16) table.writeUInt16LE(value & 0xffff, cluster * 2);
    else {
      const at = Math.floor(cluster * 1.5);
      const old = table.readUInt16LE(at);
      const twelve = value & 0xfff;
      table.writeUInt16LE(
        cluster % 2 === 0 ? (old & 0xf000) | twelve : (old & 0x000f) | (twelve << 4),
        at,
      );
    }
  };
  set(0, 0x0fff_ff00 | MEDIA);
  set(1, END_OF_CHAIN);
  for (const { cluster, clusters } of nodes) {
    for (let index = 0; index < clusters; index += 1)
      set(cluster + index, index === clusters - 1 ? END_OF_CHAIN : cluster + index + 1);
  }
  return table;
}

function directory(node: Node | undefined, label: string): Buffer {
  if (node === undefined) return Buffer.alloc(0);
  const { parent } = node;
  const special =
    parent === undefined
      ? [entry(label.padEnd(11), 0x08)]
      : [
          entry('.'.padEnd(11), 0x10, node.cluster),
          entry('..'.padEnd(11), 0x10, parent.parent === undefined ? 0 : parent.cluster),
        ];
  const children = node.children.map(({ name, file, cluster }) => {
    const { short, flags } = shortName(name);
    return entry(short, file === undefined ? 0x10 : 0x20, cluster, file?.size ?? 0, flags);
  });
  return Buffer.concat([...special, ...children]);
}

function entry(name: string, attributes: number, cluster = 0, size = 0, flags = 0): Buffer {
  const time = new Date(SOURCE_DATE_EPOCH * 1000);
  const clock =
    (time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1);
  const day =
    ((time.getUTCFullYear() - 1980) << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate();
  return directoryEntry(
    name,
    attributes,
    flags,
    clock,
    day,
    day,
    cluster >>> 16,
    clock,
    day,
    cluster & 0xffff,
    size,
  );
}

/** Returns an 8.3 name as stored, and the flags for lower-case base and extension. */
function shortName(name: string): { readonly short: string; readonly flags: number } {
  const [, base = '', end = ''] = /^([a-z0-9_-]{1,8})(?:\.([a-z0-9]{1,3}))?$/i.exec(name) ?? [];
  if (base === '') throw new Error(`${name} is not an 8.3 name`);
  const flags = (/[a-z]/.test(base) ? 0x08 : 0) | (/[a-z]/.test(end) ? 0x10 : 0);
  return { short: `${base.toUpperCase().padEnd(8)}${end.toUpperCase().padEnd(3)}`, flags };
}
