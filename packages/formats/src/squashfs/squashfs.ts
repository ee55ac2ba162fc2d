// https://docs.kernel.org/filesystems/squashfs.html (4.0)
import { LktError } from '@lkt/core';
import { type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import {
  deviceNumber,
  type FileSystem,
  type Inode,
  requireNames,
} from '../file-system/file-system.ts';
import { type HeadedBytes, zeros } from '../bytes/headed-bytes.ts';
import { packer, uint32s } from '../bytes/pack.ts';
import type { BlockCompressor } from './compressor.ts';
import { BLOCK_SIZE, DataWriter, type FileLocation } from './data.ts';
import {
  type MetadataLocation,
  MetadataWriter,
  positionOf,
  UNCOMPRESSED_METADATA,
} from './metadata.ts';
import { type AttributeTable, attributeTable } from './xattrs.ts';

/** NAME_MAX */
const MAX_NAME_LENGTH = 255;
/** The superblock has their number in 16 bits. */
const MAX_IDS = 0xffff;
const SUPERBLOCK_SIZE = 96;
const NONE_32 = 0xffff_ffff;
const NONE_64 = 0xffff_ffff_ffff_ffffn;
const superblockRecord = packer('<4sIIIIHHHHHHQQQQQQQQ');
const inodeHead = packer('<HHHHII');
const basicDirectory = packer('<IIHHI');
const extendedDirectory = packer('<IIIIHHI');
/** Where a block of a listing begins, in the listing and in the table, and its first name. */
const indexEntry = packer('<III');
const extendedFile = packer('<QQQ');
const listingEntry = packer('<HhHH');
const fragmentEntry = packer('<QI4x');
const attributesHead = packer('<QI4x');
const word16 = packer('<H');
const word64 = packer('<Q');
/** The end is padded to the block size of devices. */
const PAGE_SIZE = 4096;

const TYPE: Readonly<Record<Inode['type'], number>> = {
  directory: 1,
  file: 2,
  symlink: 3,
  block: 4,
  char: 5,
  fifo: 6,
};
/** Distance from a basic to an extended inode type, which has attributes or larger fields. */
const EXTENDED_TYPE = 7;

/**
 * Plans a squashfs 4.0 image of a tree (Documentation/filesystems/squashfs.rst): data in reading
 * order, then the tables. Drops attributes outside of `user.`, `trusted.` and `security.`.
 * @throws UNSUPPORTED for names longer than 255 bytes
 */
export function planSquashfs(files: FileSystem, compressor: BlockCompressor): HeadedBytes {
  requireNames(files, 'a squashfs', MAX_NAME_LENGTH);
  const { options } = compressor;
  // A block of uncompressed metadata.
  const optionsBlock =
    options === undefined
      ? Buffer.alloc(0)
      : Buffer.concat([word16(options.length | UNCOMPRESSED_METADATA), options]);
  let superblock = Buffer.alloc(0);
  return {
    bytes: async function* () {
      const start = SUPERBLOCK_SIZE + optionsBlock.length;
      yield* zeros(start);
      const data = new DataWriter(compressor, start);
      yield* data.write(files.contents());
      const tables = new Tables(files, compressor, data);
      yield* tables.chunks;
      superblock = Buffer.concat([tables.superblock(options !== undefined), optionsBlock]);
      yield* zeros(-tables.end & (PAGE_SIZE - 1));
    },
    head: () => [superblock],
  };
}

/** The tables after the data. */
class Tables {
  readonly chunks: Buffer[] = [];
  readonly #files: FileSystem;
  readonly #compressor: BlockCompressor;
  readonly #data: DataWriter;
  readonly #ids = new Map<number, number>();
  readonly #attributes: AttributeTable;
  readonly #inodes: MetadataWriter;
  readonly #inodeLocations = new Map<Inode, MetadataLocation>();
  readonly #starts: Readonly<Record<'inodes' | 'directories' | 'fragments' | 'ids', number>>;
  readonly #attributesStart: number | undefined;
  #end: number;

  constructor(files: FileSystem, compressor: BlockCompressor, data: DataWriter) {
    this.#files = files;
    this.#compressor = compressor;
    this.#data = data;
    this.#end = data.end;
    this.#attributes = attributeTable(files, compressor);
    this.#inodes = new MetadataWriter(compressor);
    const directories = new MetadataWriter(compressor);
    for (const inode of files.inodes)
      if (inode.type !== 'directory') this.#put(inode, this.#plainInode(inode));
    // Children first: the listings of their parents refer to them.
    for (const inode of files.inodes.toReversed())
      if (inode.type === 'directory') this.#put(inode, this.#directory(inode, directories));
    const inodes = this.#append(this.#inodes.end().bytes);
    const listed = this.#append(directories.end().bytes);
    const fragments = this.#lookupTable(
      data.fragments.map(({ start, size }) => fragmentEntry(start, size)),
    );
    const ids = this.#lookupTable([...this.#ids.keys()].map((id) => words(id)));
    this.#starts = { inodes, directories: listed, fragments, ids };
    this.#attributesStart = this.#appendAttributes();
  }

  get end(): number {
    return this.#end;
  }

  superblock(hasOptions: boolean): Buffer {
    const { inodes, directories, fragments, ids } = this.#starts;
    const { fragments: fragmentBlocks } = this.#data;
    const root = this.#inodeLocations.get(this.#files.root) ?? { block: 0, offset: 0 };
    return superblockRecord(
      'hsqs',
      this.#files.inodes.length,
      SOURCE_DATE_EPOCH,
      BLOCK_SIZE,
      fragmentBlocks.length,
      this.#compressor.id,
      Math.log2(BLOCK_SIZE),
      this.#flags(hasOptions),
      this.#ids.size,
      4,
      0,
      positionOf(root),
      this.#end,
      ids,
      this.#attributesStart ?? NONE_64,
      inodes,
      directories,
      fragmentBlocks.length === 0 ? NONE_64 : fragments,
      NONE_64,
    );
  }

  #flags(hasOptions: boolean): number {
    const isPlain = this.#compressor.compress === undefined;
    return (
      (isPlain ? UNCOMPRESSED : 0) |
      (this.#data.fragments.length === 0 ? NO_FRAGMENTS : 0) |
      DUPLICATES |
      (this.#attributesStart === undefined ? NO_XATTRS : 0) |
      (hasOptions ? HAS_OPTIONS : 0)
    );
  }

  #append(bytes: Buffer): number {
    const start = this.#end;
    this.chunks.push(bytes);
    this.#end += bytes.length;
    return start;
  }

  /** Writes blocks of metadata, followed by their offsets. */
  #lookupTable(entries: readonly Buffer[]): number {
    const table = new MetadataWriter(this.#compressor);
    for (const entry of entries) table.write(entry);
    const { bytes, starts } = table.end();
    const first = this.#append(bytes);
    return this.#append(pointers(starts, first));
  }

  #appendAttributes(): number | undefined {
    const { pairs, sets, count } = this.#attributes;
    if (count === 0) return undefined;
    const first = this.#append(pairs);
    const start = this.#append(sets.bytes);
    return this.#append(
      Buffer.concat([attributesHead(first, count), pointers(sets.starts, start)]),
    );
  }

  #put(inode: Inode, body: { readonly type: number; readonly fields: Buffer }): void {
    this.#inodeLocations.set(inode, this.#inodes.location);
    const [uid, gid] = [this.#id(inode.uid), this.#id(inode.gid)];
    const mtime = Math.min(Math.max(inode.mtime, 0), NONE_32);
    this.#inodes.write(inodeHead(body.type, inode.mode & 0o7777, uid, gid, mtime, inode.number));
    this.#inodes.write(body.fields);
  }

  #id(id: number): number {
    const known = this.#ids.get(id);
    if (known !== undefined) return known;
    const index = this.#ids.size;
    if (index === MAX_IDS)
      throw new LktError('UNSUPPORTED', `a squashfs has at most ${MAX_IDS} owners and groups`);
    this.#ids.set(id, index);
    return index;
  }

  #plainInode(inode: Inode): { type: number; fields: Buffer } {
    if (inode.type === 'file') return this.#file(inode);
    const { type, links, link = '' } = inode;
    const attributes = this.#attributes.of.get(inode);
    const parts = [words(links)];
    if (type === 'symlink') parts.push(words(link.length), Buffer.from(link, 'latin1'));
    if (type === 'char' || type === 'block') parts.push(words(deviceNumber(inode)));
    if (attributes !== undefined) parts.push(words(attributes));
    const more = attributes === undefined ? 0 : EXTENDED_TYPE;
    return { type: TYPE[type] + more, fields: Buffer.concat(parts) };
  }

  #file(inode: Inode): { type: number; fields: Buffer } {
    const { size, links } = inode;
    const attributes = this.#attributes.of.get(inode);
    const location = this.#data.locations.get(inode) ?? NO_DATA;
    const { blocks, sparse, fragment } = location;
    const start = Math.max(location.start, 0);
    const tail = words(fragment?.index ?? NONE_32, fragment?.offset ?? 0);
    const isLarge = links > 1 || sparse > 0 || start > NONE_32 || size > NONE_32;
    if (attributes === undefined && !isLarge)
      return {
        type: TYPE.file,
        fields: Buffer.concat([words(start), tail, words(size), uint32s(blocks)]),
      };
    const head = extendedFile(start, size, sparse);
    const fields = [head, words(links), tail, words(attributes ?? NONE_32), uint32s(blocks)];
    return { type: TYPE.file + EXTENDED_TYPE, fields: Buffer.concat(fields) };
  }

  #directory(inode: Inode, listings: MetadataWriter): { type: number; fields: Buffer } {
    const { links, parent, number } = inode;
    const attributes = this.#attributes.of.get(inode);
    const { block, offset } = listings.location;
    const index: Buffer[] = [];
    let indexed = block;
    let size = 3;
    for (const { first, bytes } of this.#listing(inode)) {
      const at = listings.location.block;
      if (at !== indexed) {
        index.push(indexEntry(size - 3, at, first.length - 1), Buffer.from(first, 'latin1'));
        indexed = at;
      }
      size += bytes.length;
      listings.write(bytes);
    }
    const above = parent === inode ? this.#files.inodes.length + 1 : parent.number;
    if (attributes === undefined && size <= 0xffff)
      return { type: TYPE.directory, fields: basicDirectory(block, links, size, offset, above) };
    if (size > NONE_32) throw new Error(`directory ${number} is too large`);
    const fields = extendedDirectory(
      links,
      size,
      block,
      above,
      index.length / 2,
      offset,
      attributes ?? NONE_32,
    );
    return {
      type: TYPE.directory + EXTENDED_TYPE,
      fields: Buffer.concat([fields, ...index]),
    };
  }

  /**
   * Returns runs of at most 256 entries whose inodes are in one metadata block and have close
   * numbers, each with its first name.
   */
  *#listing({ children }: Inode): Generator<{ readonly first: RawPath; readonly bytes: Buffer }> {
    let run: Buffer[] = [];
    let base = { block: 0, number: 0, first: '' };
    const whole = (): { first: RawPath; bytes: Buffer } => ({
      first: base.first,
      bytes: Buffer.concat([words(run.length - 1, base.block, base.number), ...run]),
    });
    for (const { name, inode } of children) {
      const { block, offset } = this.#inodeLocations.get(inode) ?? { block: 0, offset: 0 };
      const delta = inode.number - base.number;
      if (run.length === 256 || block !== base.block || delta > 0x7fff || delta < -0x8000) {
        if (run.length > 0) yield whole();
        run = [];
      }
      if (run.length === 0) base = { block, number: inode.number, first: name };
      const entry = listingEntry(
        offset,
        inode.number - base.number,
        TYPE[inode.type],
        name.length - 1,
      );
      run.push(Buffer.concat([entry, Buffer.from(name, 'latin1')]));
    }
    if (run.length > 0) yield whole();
  }
}

const NO_DATA: FileLocation = { start: 0, blocks: [], sparse: 0 };

// Flags of the superblock. Uncompressed inodes, data, fragments, attributes and owners are five of
// them.
const UNCOMPRESSED = 0x0001 | 0x0002 | 0x0008 | 0x0100 | 0x0800;
const NO_FRAGMENTS = 0x0010;
const DUPLICATES = 0x0040;
const NO_XATTRS = 0x0200;
const HAS_OPTIONS = 0x0400;

function words(...values: readonly number[]): Buffer {
  return uint32s(values);
}

function pointers(starts: readonly number[], first: number): Buffer {
  return Buffer.concat(starts.map((start) => word64(first + start)));
}
