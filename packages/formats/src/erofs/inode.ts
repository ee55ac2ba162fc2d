// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h: inodes
import { LktError } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { packer } from '../bytes/pack.ts';
import { type Inode, nameOf, statMode } from '../file-system/file-system.ts';
import { xattrBytes } from './xattrs.ts';

/** Block size of the images. */
export const BLOCK_SIZE = 4096;
/** Size of a content's chunk: compressed as a whole, and stored once. */
export const CHUNK_SIZE = 131_072;
/** Inodes begin at multiples of this size; the quotient is their number. */
export const SLOT_SIZE = 32;
const EXTENDED_SIZE = 64;
const compactInode = packer('<HHHHI4xIIHH4x');
const extendedInode = packer('<HHH2xQIIIIq4xI16x');

/** The time of compact inodes, which store none. */
export const BUILD_TIME: number = SOURCE_DATE_EPOCH;

/** Layouts of an inode's content (EROFS_INODE_…). */
export const LAYOUT = { flat: 0, compressed: 1, inline: 2, chunks: 4 } as const;

/** The content of an inode. */
export interface InodeContent {
  readonly layout: (typeof LAYOUT)[keyof typeof LAYOUT];
  readonly size: number;
  /** The first block of the content, or another value, depending on the layout. */
  readonly word: number;
  /** The data after the inode and its attributes. */
  readonly body?: Buffer;
}

/** Returns the size of an inode without its body. */
export function headSize(inode: Inode, size: number): number {
  return (isCompact(inode, size) ? SLOT_SIZE : EXTENDED_SIZE) + xattrBytes(inode).length;
}

/**
 * Returns an inode with its attributes and body.
 * @throws UNSUPPORTED for an owner above 32 bits
 */
export function inodeBytes(inode: Inode, content: InodeContent): Buffer {
  const { layout, size, word, body = Buffer.alloc(0) } = content;
  const attributes = xattrBytes(inode);
  const { uid, gid, links, mtime, number } = inode;
  const isCompactInode = isCompact(inode, size);
  if (!isCompactInode && Math.max(uid, gid) > 0xffff_ffff)
    throw new LktError('UNSUPPORTED', `${nameOf(inode)} has an owner above 4294967295`);
  const format = (layout << 1) | (isCompactInode ? 0 : 1);
  const words = attributes.length === 0 ? 0 : (attributes.length - 12) / 4 + 1;
  const mode = statMode(inode);
  const head = isCompactInode
    ? compactInode(format, words, mode, links, size, word, number, uid, gid)
    : extendedInode(format, words, mode, size, word, number, uid, gid, Math.floor(mtime), links);
  return Buffer.concat([head, attributes, body]);
}

function isCompact({ uid, gid, links, mtime }: Inode, size: number): boolean {
  return Math.max(uid, gid, links) <= 0xffff && size <= 0xffff_ffff && mtime === BUILD_TIME;
}

/**
 * Inodes whose final offset is not known yet. They will be written contiguously, from the beginning
 * of a block.
 */
export class InodeArea {
  readonly #parts: { readonly inode: Inode; readonly offset: number; readonly bytes: Buffer }[] =
    [];
  #end = 0;

  get size(): number {
    return this.#end;
  }

  /** Reserves room for an inode, and returns its offset in the area. */
  place(head: number, content: Pick<InodeContent, 'layout'>, bodySize: number): number {
    const offset = Math.ceil(this.#end / SLOT_SIZE) * SLOT_SIZE;
    const size = head + bodySize;
    // Inline data must not cross a block boundary; the kernel expects a symlink in the block of its
    // inode.
    const isSplit = content.layout === LAYOUT.inline && (offset % BLOCK_SIZE) + size > BLOCK_SIZE;
    const start = isSplit ? Math.ceil(offset / BLOCK_SIZE) * BLOCK_SIZE : offset;
    this.#end = start + size;
    return start;
  }

  add(inode: Inode, content: InodeContent): void {
    const bytes = inodeBytes(inode, content);
    const length = content.body?.length ?? 0;
    this.put(inode, this.place(bytes.length - length, content, length), bytes);
  }

  put(inode: Inode, offset: number, bytes: Buffer): void {
    this.#parts.push({ inode, offset, bytes });
  }

  /**
   * Returns the area as whole blocks, and empties it.
   * @param start offset of the area in the image
   */
  flush(start: number, numbers: Map<Inode, number>): Buffer {
    const all = Buffer.alloc(Math.ceil(this.#end / BLOCK_SIZE) * BLOCK_SIZE);
    for (const { inode, offset, bytes } of this.#parts.splice(0)) {
      all.set(bytes, offset);
      numbers.set(inode, (start + offset) / SLOT_SIZE);
    }
    this.#end = 0;
    return all;
  }
}
