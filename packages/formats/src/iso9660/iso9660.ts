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
import { roundUp } from '../bytes/disk.ts';
import { type HeadedBytes, zeros } from '../bytes/headed-bytes.ts';
import { packer } from '../bytes/pack.ts';
import { isoChildren } from './names.ts';
import {
  ContinuationArea,
  directoryBytes,
  type IsoExtent,
  rootRecord,
  SECTOR_SIZE,
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
  const extentOf = (inode: Inode): IsoExtent => extentByInode.get(inode) ?? { start: 0, size: 0 };
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
      const root = extentOf(files.root);
      yield primaryDescriptor(options.volumeId, size / SECTOR_SIZE, pathTable, root);
      if (boot.length > 0) yield descriptor(0, bootRecord('EL TORITO SPECIFICATION', catalog));
      yield descriptor(255);
      if (boot.length > 0) yield bootCatalog(boot, extents);
      for (const { inode, children } of directories) {
        const own = extentOf(inode);
        const continuation = new ContinuationArea(own.start + own.size / SECTOR_SIZE);
        yield directoryBytes(inode, children, extentOf, continuation);
        yield continuation.bytes();
      }
      for (const order of ['LE', 'BE'] as const) {
        const table = pathTableBytes(directories, extentByInode, order);
        yield Buffer.concat([table], roundUp(table.length, SECTOR_SIZE));
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
function descriptor(type: number, fields: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([descriptorHead(type, 'CD001', 1), fields], SECTOR_SIZE);
}

const descriptorHead = packer('<B5sB');
const primaryFields = packer('<x32s32s8xD32xWWWDI4x4s4x34s384s128s111s17s17s17s17sB');
const uint32be = packer('>I');
/** The boot record volume descriptor (El Torito §2.0). */
const bootRecord = packer('<32s32xI');
const validationEntry = packer('<BB26xHH');
const sectionHeader = packer('<BBH28x');
const bootEntry = packer('<B5xHI20x');

/** Returns the primary volume descriptor (ECMA-119 §8.4). */
function primaryDescriptor(
  volumeId: string,
  total: number,
  pathTable: IsoExtent,
  root: IsoExtent,
): Buffer {
  const time = new Date(SOURCE_DATE_EPOCH * 1000).toISOString();
  const digits = `${time.replaceAll(/\D/g, '').slice(0, 14)}00`;
  const fields = primaryFields(
    ' '.repeat(32),
    volumeId.padEnd(32),
    total,
    1,
    1,
    SECTOR_SIZE,
    pathTable.size,
    pathTable.start,
    uint32be(pathTable.start + sectorsOf(pathTable.size)),
    rootRecord(root),
    // Volume set, publisher and preparer.
    ' '.repeat(384),
    'LKT'.padEnd(128),
    // Copyright, abstract and bibliographic files.
    ' '.repeat(111),
    digits,
    digits,
    '0'.repeat(16),
    digits,
    1,
  );
  return descriptor(1, fields);
}

const PLATFORM = { bios: 0, efi: 0xef } as const;

/**
 * Returns the boot catalog (El Torito §2.1 to §2.4): the first image is the default; each other has
 * a section of its own.
 */
function bootCatalog(boot: readonly BootImage[], extents: readonly IsoExtent[]): Buffer {
  const [first] = boot;
  if (boot.length > 32 || first === undefined) throw new Error('too many boot images');
  const platform = PLATFORM[first.platform];
  const checksum = -(1 + platform * 0x100 + 0xaa55) & 0xffff;
  const entries = boot.flatMap((image, index) => {
    const head = sectionHeader(
      index === boot.length - 1 ? 0x91 : 0x90,
      PLATFORM[image.platform],
      1,
    );
    const entry = bootEntry(0x88, loadSectors(image), extents[index]?.start ?? 0);
    return index === 0 ? [entry] : [head, entry];
  });
  return Buffer.concat([validationEntry(1, platform, checksum, 0xaa55), ...entries], SECTOR_SIZE);
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
  const head = packer(order === 'LE' ? '<BxIH' : '>BxIH');
  const records = directories.map(({ inode, identifier, parent }) => {
    const { length } = identifier;
    const record = head(length, extentByInode.get(inode)?.start ?? 0, parent);
    return Buffer.concat([record, Buffer.from(identifier, 'latin1')], 8 + roundUp(length, 2));
  });
  return Buffer.concat(records);
}
