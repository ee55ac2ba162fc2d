// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h
import { LktError } from '@lkt/core';
import { DataWriter } from './data.ts';
import { DirectoryContent } from './directory.ts';
import type { ErofsCompressor } from './compressor.ts';
import {
  BLOCK_SIZE,
  BUILD_TIME,
  headSize,
  InodeArea,
  inodeBytes,
  type InodeContent,
  LAYOUT,
  SLOT_SIZE,
} from './inode.ts';
import { xattrBytes } from './xattrs.ts';
import { type FileSystem, type Inode, requireNames } from '../file-system/file-system.ts';
import { type HeadedBytes, zeros } from '../bytes/headed-bytes.ts';
import { packer } from '../bytes/pack.ts';

/** NAME_MAX */
const MAX_NAME_LENGTH = 255;
const SUPERBLOCK_OFFSET = 1024;
const SUPERBLOCK_SIZE = 128;
/** The root's inode follows the superblock and the compression configuration. */
const ROOT_OFFSET = SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE + SLOT_SIZE;
/** Block numbers have 32 bits. */
const MAX_BLOCKS = 0xffff_fffe;

/**
 * Plans an erofs image of a tree (Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h): the
 * superblock and the root, then contents in reading order with the inodes of their files between
 * them, then the other directories. Drops attributes outside of `user.`, `trusted.`, `security.`
 * and access control lists.
 * @throws UNSUPPORTED for names longer than 255 bytes, and for attributes of 64 KiB or more
 * @example
 * ```ts
 * const compressor = erofsCompressor(await chooseCompression('zstd'));
 * const image = planErofs(fileSystemOf(entries, contents), compressor ?? {});
 * ```
 */
export function planErofs(files: FileSystem, compressor: ErofsCompressor): HeadedBytes {
  requireNames(files, 'an erofs', MAX_NAME_LENGTH);
  for (const inode of files.inodes) xattrBytes(inode);
  const root = new DirectoryContent(files.root);
  const headBlocks = Math.ceil((ROOT_OFFSET + headSize(files.root, root.size)) / BLOCK_SIZE);
  let head = Buffer.alloc(0);
  return {
    bytes: async function* () {
      yield* zeros(headBlocks * BLOCK_SIZE);
      const data = new DataWriter(compressor, headBlocks);
      for (const inode of files.inodes)
        if (inode.type !== 'directory' && (inode.type !== 'file' || inode.size === 0))
          yield* data.add(inode);
      yield* data.write(files.contents());
      const { numbers } = data;
      numbers.set(files.root, ROOT_OFFSET / SLOT_SIZE);
      const below = directoryBlocks(files, data.end, numbers);
      yield* below;
      const rootAt = data.end + blocksIn(below);
      const bytes = root.bytes((inode) => numberOf(inode, numbers));
      const end = rootAt + Math.ceil(bytes.length / BLOCK_SIZE);
      if (end > MAX_BLOCKS)
        throw new LktError('UNSUPPORTED', 'the files exceed the maximum size of an erofs');
      yield Buffer.concat([bytes], (end - rootAt) * BLOCK_SIZE);
      head = Buffer.alloc(headBlocks * BLOCK_SIZE);
      const content = { layout: LAYOUT.flat, size: root.size, word: rootAt };
      head.set(superblock(files, compressor, data, end), SUPERBLOCK_OFFSET);
      head.set(inodeBytes(files.root, content), ROOT_OFFSET);
    },
    head: () => [head],
  };
}

/**
 * Returns all directories except the root: first their inodes, each with the tail of its content,
 * then the blocks before those tails.
 */
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
      const tail = head + (size % BLOCK_SIZE) <= BLOCK_SIZE ? size % BLOCK_SIZE : 0;
      const layout = tail > 0 ? LAYOUT.inline : LAYOUT.flat;
      const offset = area.place(head, { layout }, tail);
      numbers.set(inode, (start * BLOCK_SIZE + offset) / SLOT_SIZE);
      return { inode, entries, tail, layout, offset };
    });
  let next = start + Math.ceil(area.size / BLOCK_SIZE);
  const blocks: Buffer[] = [];
  for (const { inode, entries, tail, layout, offset } of directories) {
    const { size } = entries;
    const bytes = entries.bytes((child) => numberOf(child, numbers));
    const whole = bytes.subarray(0, size - tail);
    const content: InodeContent = { layout, size, word: next, body: bytes.subarray(size - tail) };
    area.put(inode, offset, inodeBytes(inode, content));
    const count = Math.ceil(whole.length / BLOCK_SIZE);
    blocks.push(Buffer.concat([whole], count * BLOCK_SIZE));
    next += count;
  }
  return [area.flush(start * BLOCK_SIZE, numbers), ...blocks].filter(({ length }) => length > 0);
}

function blocksIn(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0) / BLOCK_SIZE;
}

function numberOf(inode: Inode, numbers: ReadonlyMap<Inode, number>): number {
  const number = numbers.get(inode);
  if (number === undefined) throw new Error(`inode ${inode.number} is nowhere`);
  return number;
}

// Incompatible features: zero cpioPadding before compressed data, compression configurations with
// chunks of several blocks, chunk-based files, and compressed chunks shared by files.
const ZERO_PADDING = 0x01;
const COMPRESSOR_OPTIONS = 0x02;
const CHUNKED_FILES = 0x04;
const SHARED_CHUNKS = 0x20;
/** Compatible feature: times are modification times. */
const MTIME = 0x02;
const superblockRecord = packer('<I4xIBxHQQ4xI40xIH42x');
const optionsLength = packer('<H');

function superblock(
  { inodes }: FileSystem,
  { compression }: ErofsCompressor,
  { hasChunks, hasShared }: DataWriter,
  end: number,
): Buffer {
  const features =
    (hasChunks ? CHUNKED_FILES : 0) |
    (compression === undefined ? 0 : ZERO_PADDING | COMPRESSOR_OPTIONS) |
    (compression !== undefined && hasShared ? SHARED_CHUNKS : 0);
  const block = superblockRecord(
    0xe0f5_e1e2,
    MTIME,
    Math.log2(BLOCK_SIZE),
    ROOT_OFFSET / SLOT_SIZE,
    inodes.length,
    BUILD_TIME,
    end,
    features,
    compression === undefined ? 0 : 2 ** compression.algorithm,
  );
  if (compression === undefined) return block;
  const { options } = compression;
  return Buffer.concat([block, optionsLength(options.length), options]);
}
