// ECMA-119 (ISO 9660); Rock Ridge: IEEE P1281 and P1282; "El Torito" Bootable CD-ROM Format 1.0
import { LktError } from '@lkt/core';
import { type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import {
  type FileGroup,
  type FileSystem,
  type Inode,
  nameOf,
  requireNames,
} from '../file-system/file-system.ts';
import { type HeadedBytes, zeros } from '../bytes/headed-bytes.ts';
import { isoChildren } from './names.ts';
import {
  both16,
  both32,
  ContinuationArea,
  directoryBytes,
  type IsoExtent,
  SECTOR_SIZE,
  toSector,
} from './record.ts';

/** Options of `planIso`. */
export interface IsoOptions {
  /** At most 32 characters. */
  readonly volumeId: string;
  /** Boot images for firmware, in order. */
  readonly boot?: readonly BootImage[];
  /**
   * Returns up to 32 KiB for the beginning of the image, when the locations of `boot` are known.
   */
  readonly systemArea?: (iso: Pick<IsoImage, 'size' | 'boot'>) => Uint8Array;
}

/** A boot image without emulation of a floppy or hard disk (El Torito). */
export interface BootImage {
  readonly platform: 'bios' | 'efi';
  /**
   * The file of the tree with the image's content; undefined if the image is in no directory.
   * `data` contains it in both cases.
   */
  readonly path?: RawPath;
  readonly size: number;
  readonly data: Buffer | (() => AsyncIterable<Uint8Array>);
  /**
   * Writes its location and checksum into bytes 8 to 63, as isolinux and GRUB require; `data` must
   * then be a buffer.
   */
  readonly infoTable?: boolean;
  /** Number of 512-byte sectors that the firmware loads. Default: 4 for a BIOS, all for EFI. */
  readonly loadSectors?: number;
}

/**
 * An ISO image with known locations, so that a boot record or partition table can refer to them.
 */
export interface IsoImage extends HeadedBytes {
  /** In bytes, a multiple of 2048. */
  readonly size: number;
  /** The locations of `boot`. */
  readonly boot: readonly IsoExtent[];
}

/** Number of sectors before the volume descriptors. */
const SYSTEM_AREA_SECTORS = 16;
/** The kernel's isofs truncates longer names (fs/isofs/rock.c). */
const MAX_NAME_LENGTH = 253;
/** Directory numbers in path tables have 16 bits. */
const MAX_DIRECTORIES = 65_535;
/** Sector numbers have 32 bits. */
const MAX_SECTORS = 2 ** 32 - 1;

/**
 * Plans an ISO 9660 image (ECMA-119) of a tree with Rock Ridge and, optionally, El Torito. Contents
 * keep the order of their source; the directories before them are written last. Directories may be
 * nested more than eight levels deep, which ECMA-119 forbids but all readers of Rock Ridge accept.
 * @throws UNSUPPORTED for names longer than 253 bytes, too many directories, and too large trees
 */
export function planIso(files: FileSystem, options: IsoOptions): IsoImage {
  requireNames(files, 'an ISO image', MAX_NAME_LENGTH);
  const { boot = [] } = options;
  const directories = directoriesOf(files);
  const bootFiles = new Map(boot.map((image) => [image, bootFile(files, image)]));
  const inBoot = new Set(bootFiles.values());
  const isInBoot = (group: FileGroup): boolean => group.every((inode) => inBoot.has(inode));

  const catalog = SYSTEM_AREA_SECTORS + (boot.length === 0 ? 2 : 3);
  const extentByInode = new Map<Inode, IsoExtent>();
  let next = catalog + (boot.length === 0 ? 0 : 1);
  for (const { inode, children } of directories) {
    const continuation = new ContinuationArea(0);
    const { length } = directoryBytes(inode, children, sizeOnly, continuation);
    extentByInode.set(inode, { start: next, size: length });
    next += (length + continuation.size) / SECTOR_SIZE;
  }
  const pathTable = { start: next, size: pathTableBytes(directories, extentByInode, 'LE').length };
  next += 2 * sectorsOf(pathTable.size);
  const headSize = next * SECTOR_SIZE;
  const extents = boot.map((image) => {
    const extent = { start: next, size: image.size };
    const file = bootFiles.get(image);
    if (file !== undefined) extentByInode.set(file, extent);
    next += sectorsOf(image.size);
    return extent;
  });
  const dataStart = next;
  for (const group of files.files) if (!isInBoot(group)) next += sectorsOf(group[0].size);
  if (next > MAX_SECTORS)
    throw new LktError('UNSUPPORTED', 'the files exceed the maximum size of an ISO image');
  const size = next * SECTOR_SIZE;

  return {
    size,
    boot: extents,
    bytes: async function* () {
      yield* zeros(headSize);
      for (const [index, image] of boot.entries()) {
        const extent = extents[index];
        if (extent !== undefined) yield* padded(image.size, bootBytes(image, extent));
      }
      let at = dataStart;
      for await (const { files: group, data } of files.contents()) {
        if (isInBoot(group)) continue;
        const [{ size: length }] = group;
        for (const inode of group) extentByInode.set(inode, { start: at, size: length });
        at += sectorsOf(length);
        yield* padded(length, data);
      }
    },
    head: function* () {
      const systemArea = options.systemArea?.({ size, boot: extents }) ?? new Uint8Array();
      if (systemArea.length > SYSTEM_AREA_SECTORS * SECTOR_SIZE)
        throw new Error('the system area is too long');
      yield Buffer.concat([systemArea], SYSTEM_AREA_SECTORS * SECTOR_SIZE);
      yield primaryDescriptor(
        options.volumeId,
        size / SECTOR_SIZE,
        pathTable,
        extentByInode.get(files.root),
      );
      if (boot.length > 0) yield bootRecord(catalog);
      yield descriptor(255);
      if (boot.length > 0) yield bootCatalog(boot, extents);
      const extentOf = (inode: Inode): IsoExtent =>
        extentByInode.get(inode) ?? { start: 0, size: 0 };
      for (const { inode, children } of directories) {
        const own = extentOf(inode);
        const continuation = new ContinuationArea(own.start + own.size / SECTOR_SIZE);
        yield directoryBytes(inode, children, extentOf, continuation);
        yield continuation.bytes();
      }
      for (const order of ['LE', 'BE'] as const) {
        const table = pathTableBytes(directories, extentByInode, order);
        yield Buffer.concat([table], toSector(table.length));
      }
    },
  };
}

interface Directory {
  readonly inode: Inode;
  readonly identifier: string;
  /** Number of the parent, from 1. */
  readonly parent: number;
  readonly children: ReturnType<typeof isoChildren>;
}

/** Returns the directories in the order of path tables: by level, then parent, then name. */
function directoriesOf({ root }: FileSystem): readonly Directory[] {
  const found: Directory[] = [
    { inode: root, identifier: '\0', parent: 1, children: isoChildren(root) },
  ];
  for (const [index, { children }] of found.entries()) {
    for (const { identifier, inode } of children) {
      if (inode.type !== 'directory') continue;
      if (found.length === MAX_DIRECTORIES)
        throw new LktError(
          'UNSUPPORTED',
          `${nameOf(inode)} is one directory too many: an ISO image has at most ${MAX_DIRECTORIES}`,
        );
      found.push({ inode, identifier, parent: index + 1, children: isoChildren(inode) });
    }
  }
  return found;
}

function sizeOnly({ type, size }: Inode): IsoExtent {
  return { start: 0, size: type === 'file' ? size : 0 };
}

function bootFile({ inodes }: FileSystem, { path, size }: BootImage): Inode | undefined {
  if (path === undefined) return undefined;
  const inode = inodes.find((one) => one.path === path);
  if (inode?.type !== 'file' || inode.size !== size)
    throw new Error(`${path} is no file of ${size} bytes`);
  return inode;
}

function sectorsOf(size: number): number {
  return Math.ceil(size / SECTOR_SIZE);
}

async function* padded(
  size: number,
  data: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* data;
  if (size % SECTOR_SIZE !== 0) yield Buffer.alloc(SECTOR_SIZE - (size % SECTOR_SIZE));
}

function bootBytes(
  { data, infoTable = false }: BootImage,
  { start, size }: IsoExtent,
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (!Buffer.isBuffer(data)) return data();
  if (!infoTable) return [data];
  const patched = Buffer.from(data);
  patched.fill(0, 8, 64);
  let sum = 0;
  const words = Buffer.concat([patched.subarray(64)], Math.ceil((size - 64) / 4) * 4);
  for (let at = 0; at < words.length; at += 4) sum = (sum + words.readUInt32LE(at)) % 2 ** 32;
  for (const [index, value] of [SYSTEM_AREA_SECTORS, start, size, sum].entries())
    patched.writeUInt32LE(value, 8 + 4 * index);
  return [patched];
}

/** Returns a volume descriptor (ECMA-119 §8.1). */
function descriptor(type: number): Buffer {
  const sector = Buffer.alloc(SECTOR_SIZE);
  sector.writeUInt8(type, 0);
  sector.write('CD001\x01', 1, 'latin1');
  return sector;
}

/** Returns the primary volume descriptor (ECMA-119 §8.4). */
function primaryDescriptor(
  volumeId: string,
  total: number,
  pathTable: IsoExtent,
  root: IsoExtent = { start: 0, size: 0 },
): Buffer {
  const sector = descriptor(1);
  const text = (value: string, at: number, length: number): void => {
    sector.write(value.padEnd(length).slice(0, length), at, 'latin1');
  };
  text('', 8, 32);
  text(volumeId, 40, 32);
  both32(sector, total, 80);
  both16(sector, 1, 120);
  both16(sector, 1, 124);
  both16(sector, SECTOR_SIZE, 128);
  both32(sector, pathTable.size, 132);
  sector.writeUInt32LE(pathTable.start, 140);
  sector.writeUInt32BE(pathTable.start + sectorsOf(pathTable.size), 148);
  sector.writeUInt8(34, 156);
  both32(sector, root.start, 158);
  both32(sector, root.size, 166);
  const date = new Date(SOURCE_DATE_EPOCH * 1000);
  Buffer.of(
    date.getUTCFullYear() - 1900,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
    2,
  ).copy(sector, 174);
  both16(sector, 1, 184);
  sector.writeUInt8(1, 188);
  text('', 190, 128);
  text('', 318, 128);
  text('', 446, 128);
  text('LKT', 574, 128);
  text('', 702, 37);
  text('', 739, 37);
  text('', 776, 37);
  const digits = `${date.toISOString().replaceAll(/\D/g, '').slice(0, 14)}00`;
  for (const [index, value] of [digits, digits, '0'.repeat(16), digits].entries())
    sector.write(value, 813 + 17 * index, 'latin1');
  sector.writeUInt8(1, 881);
  return sector;
}

/** Returns the boot record volume descriptor (El Torito §2.0). */
function bootRecord(catalog: number): Buffer {
  const sector = descriptor(0);
  sector.write('EL TORITO SPECIFICATION', 7, 'latin1');
  sector.writeUInt32LE(catalog, 0x47);
  return sector;
}

const PLATFORM = { bios: 0, efi: 0xef } as const;

/**
 * Returns the boot catalog (El Torito §2.1 to §2.4): the first image is the default; each other has
 * a section of its own.
 */
function bootCatalog(boot: readonly BootImage[], extents: readonly IsoExtent[]): Buffer {
  const sector = Buffer.alloc(SECTOR_SIZE);
  const [first] = boot;
  if (boot.length > 32 || first === undefined) throw new Error('too many boot images');
  sector.writeUInt8(1, 0);
  sector.writeUInt8(PLATFORM[first.platform], 1);
  sector.writeUInt16LE(0xaa55, 30);
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += sector.readUInt16LE(at);
  sector.writeUInt16LE(-sum & 0xffff, 28);
  let at = 32;
  for (const [index, image] of boot.entries()) {
    if (index > 0) {
      sector.writeUInt8(index === boot.length - 1 ? 0x91 : 0x90, at);
      sector.writeUInt8(PLATFORM[image.platform], at + 1);
      sector.writeUInt16LE(1, at + 2);
      at += 32;
    }
    sector.writeUInt8(0x88, at);
    sector.writeUInt16LE(loadSectors(image), at + 6);
    sector.writeUInt32LE(extents[index]?.start ?? 0, at + 8);
    at += 32;
  }
  return sector;
}

/** UEFI 2.10 §13.3.2.1: 0 means up to the end of the medium, for sizes that exceed 16 bits. */
function loadSectors({ platform, size, loadSectors: given }: BootImage): number {
  if (given !== undefined) return given;
  if (platform === 'bios') return 4;
  // In whole sectors, because firmware differs on partial ones.
  const all = sectorsOf(size) * (SECTOR_SIZE / 512);
  return all > 0xffff ? 0 : all;
}

function pathTableBytes(
  directories: readonly Directory[],
  extentByInode: ReadonlyMap<Inode, IsoExtent>,
  order: 'LE' | 'BE',
): Buffer {
  const records = directories.map(({ inode, identifier, parent }) => {
    const { length } = identifier;
    const record = Buffer.alloc(8 + length + (length % 2));
    record.writeUInt8(length, 0);
    record[`writeUInt32${order}`](extentByInode.get(inode)?.start ?? 0, 2);
    record[`writeUInt16${order}`](parent, 6);
    record.write(identifier, 8, 'latin1');
    return record;
  });
  return Buffer.concat(records);
}
