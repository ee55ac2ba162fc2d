// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h
import { LktError } from '@lkt/core';
import { DataWriter } from './data.ts';
import { DirectoryContent } from './directory.ts';
import type { ErofsCompressor } from './compressor.ts';
import {
  BLOCK,
  BUILD_TIME,
  headSize,
  InodeArea,
  inodeBytes,
  type InodeContent,
  LAYOUT,
  SLOT,
} from './inode.ts';
import { xattrBytes } from './xattrs.ts';
import { type FileSystem, type Inode, requireNames } from '../file-system/file-system.ts';
import { type HeadedBytes, zeros } from '../bytes/headed-bytes.ts';

/** NAME_MAX */
const MAX_NAME_LENGTH = 255;
const SUPERBLOCK_AT = 1024;
const SUPERBLOCK = 128;
/** The root is behind the superblock and what that has behind it. */
const ROOT_AT = SUPERBLOCK_AT + SUPERBLOCK + SLOT;
/** Blocks are counted with 32 bits. */
const MAX_BLOCKS = 0xffff_fffe;

/**
 * An erofs image of a tree (Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h): the superblock and the root, then
 * contents as they come with the inodes of the files between them, then the other directories. Attributes are left out
 * that are not `user.`, `trusted.`, `security.` or access control lists.
 * @throws LktError UNSUPPORTED for names longer than 255 bytes, and attributes of 64 KiB
 */
export function planErofs(files: FileSystem, compressor: ErofsCompressor): HeadedBytes {
  requireNames(files, 'an erofs', MAX_NAME_LENGTH);
  for (const inode of files.inodes) xattrBytes(inode);
  const root = new DirectoryContent(files.root);
  const headBlocks = Math.ceil((ROOT_AT + headSize(files.root, root.size)) / BLOCK);
  let head = Buffer.alloc(0);
  return {
    bytes: async function* () {
      yield* zeros(headBlocks * BLOCK);
      const data = new DataWriter(compressor, headBlocks);
      for (const inode of files.inodes)
        if (inode.type !== 'directory' && (inode.type !== 'file' || inode.size === 0))
          yield* data.add(inode);
      yield* data.write(files.contents());
      const { numbers } = data;
      numbers.set(files.root, ROOT_AT / SLOT);
      const below = directoryBlocks(files, data.end, numbers);
      yield* below;
      const rootAt = data.end + blocksIn(below);
      const bytes = root.bytes((inode) => numberOf(inode, numbers));
      const end = rootAt + Math.ceil(bytes.length / BLOCK);
      if (end > MAX_BLOCKS)
        throw new LktError('UNSUPPORTED', 'the files are more than an erofs can hold');
      yield Buffer.concat([bytes], (end - rootAt) * BLOCK);
      head = Buffer.alloc(headBlocks * BLOCK);
      const content = { layout: LAYOUT.plain, size: root.size, word: rootAt };
      head.set(superblock(files, compressor, data, end), SUPERBLOCK_AT);
      head.set(inodeBytes(files.root, content), ROOT_AT);
    },
    head: () => [head],
  };
}

/** The directories but the root: first their inodes, each with the end of its content, then the blocks before those. */
function directoryBlocks(
  { root, inodes }: FileSystem,
  start: number,
  numbers: Map<Inode, number>,
): readonly Buffer[] {
  const area = new InodeArea();
  const directories = inodes
    .filter((inode) => inode.type === 'directory' && inode !== root)
    .map((inode) => {
      const entries = new DirectoryContent(inode);
      const { size } = entries;
      const head = headSize(inode, size);
      const tail = head + (size % BLOCK) <= BLOCK ? size % BLOCK : 0;
      const layout = tail > 0 ? LAYOUT.inline : LAYOUT.plain;
      const offset = area.place(head, { layout }, tail);
      numbers.set(inode, (start * BLOCK + offset) / SLOT);
      return { inode, entries, tail, layout, offset };
    });
  let next = start + Math.ceil(area.size / BLOCK);
  const blocks: Buffer[] = [];
  for (const { inode, entries, tail, layout, offset } of directories) {
    const { size } = entries;
    const bytes = entries.bytes((child) => numberOf(child, numbers));
    const whole = bytes.subarray(0, size - tail);
    const content: InodeContent = { layout, size, word: next, body: bytes.subarray(size - tail) };
    area.put(inode, offset, inodeBytes(inode, content));
    const count = Math.ceil(whole.length / BLOCK);
    blocks.push(Buffer.concat([whole], count * BLOCK));
    next += count;
  }
  return [area.flush(start * BLOCK, numbers), ...blocks].filter(({ length }) => length > 0);
}

function blocksIn(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0) / BLOCK;
}

function numberOf(inode: Inode, numbers: ReadonlyMap<Inode, number>): number {
  const number = numbers.get(inode);
  if (number === undefined) throw new Error(`inode ${inode.number} is nowhere`);
  return number;
}

// What readers have to know: that packed contents have zeros in front, that there are options of compressors and chunks
// of several blocks, files in chunks, and packed chunks of several files.
const ZERO_PADDING = 0x01;
const COMPRESSOR_OPTIONS = 0x02;
const CHUNKED_FILES = 0x04;
const SHARED_CHUNKS = 0x20;
/** What they need not: that times are those of changes of content. */
const CHANGE_TIMES = 0x02;

function superblock(
  { inodes }: FileSystem,
  { packing }: ErofsCompressor,
  { hasChunks, hasShared }: DataWriter,
  end: number,
): Buffer {
  const block = Buffer.alloc(SUPERBLOCK);
  block.writeUInt32LE(0xe0f5_e1e2, 0);
  block.writeUInt32LE(CHANGE_TIMES, 8);
  block.writeUInt8(Math.log2(BLOCK), 12);
  block.writeUInt16LE(ROOT_AT / SLOT, 14);
  block.writeBigUInt64LE(BigInt(inodes.length), 16);
  block.writeBigUInt64LE(BigInt(BUILD_TIME), 24);
  block.writeUInt32LE(end, 36);
  const features =
    (hasChunks ? CHUNKED_FILES : 0) |
    (packing === undefined ? 0 : ZERO_PADDING | COMPRESSOR_OPTIONS) |
    (packing !== undefined && hasShared ? SHARED_CHUNKS : 0);
  block.writeUInt32LE(features, 80);
  if (packing === undefined) return block;
  block.writeUInt16LE(2 ** packing.algorithm, 84);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(packing.options.length);
  return Buffer.concat([block, length, packing.options]);
}
