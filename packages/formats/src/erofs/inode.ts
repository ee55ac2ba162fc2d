// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h: inodes
import { LktError } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { type Inode, nameOf, statMode } from '../file-system/file-system.ts';
import { xattrBytes } from './xattrs.ts';

export const BLOCK = 4096;
/** Of a content: what is packed at once, and there once. */
export const CHUNK = 131_072;
/** Inodes begin at multiples of this, by which they are numbered. */
export const SLOT = 32;
const EXTENDED = 64;

/** Of what small inodes, which have none of their own, have the time. */
export const BUILD_TIME: number = SOURCE_DATE_EPOCH;

/** How the content of an inode is stored. */
export const LAYOUT = { plain: 0, packed: 1, inline: 2, chunks: 4 } as const;

/** What an inode says about its content. */
export interface InodeContent {
  readonly layout: (typeof LAYOUT)[keyof typeof LAYOUT];
  readonly size: number;
  /** Where it is, or what else the layout has in its place. */
  readonly word: number;
  /** What stands behind the inode and its attributes. */
  readonly body?: Buffer;
}

/** What an inode takes without its body. */
export function headSize(inode: Inode, size: number): number {
  return (isSmall(inode, size) ? SLOT : EXTENDED) + xattrBytes(inode).length;
}

/** An inode with its attributes and its body. */
export function inodeBytes(inode: Inode, content: InodeContent): Buffer {
  const { layout, size, word, body = Buffer.alloc(0) } = content;
  const attributes = xattrBytes(inode);
  const isCompact = isSmall(inode, size);
  const head = Buffer.alloc(isCompact ? SLOT : EXTENDED);
  head.writeUInt16LE((layout << 1) | (isCompact ? 0 : 1), 0);
  head.writeUInt16LE(attributes.length === 0 ? 0 : (attributes.length - 12) / 4 + 1, 2);
  head.writeUInt16LE(statMode(inode), 4);
  head.writeUInt32LE(word, 16);
  head.writeUInt32LE(inode.number, 20);
  const { uid, gid, links, mtime } = inode;
  if (isCompact) {
    head.writeUInt16LE(links, 6);
    head.writeUInt32LE(size, 8);
    head.writeUInt16LE(uid, 24);
    head.writeUInt16LE(gid, 26);
  } else {
    if (Math.max(uid, gid) > 0xffff_ffff)
      throw new LktError('UNSUPPORTED', `${nameOf(inode)} has an owner above 4294967295`);
    head.writeBigUInt64LE(BigInt(size), 8);
    head.writeUInt32LE(uid, 24);
    head.writeUInt32LE(gid, 28);
    head.writeBigInt64LE(BigInt(Math.floor(mtime)), 32);
    head.writeUInt32LE(links, 44);
  }
  return Buffer.concat([head, attributes, body]);
}

function isSmall({ uid, gid, links, mtime }: Inode, size: number): boolean {
  return Math.max(uid, gid, links) <= 0xffff && size <= 0xffff_ffff && mtime === BUILD_TIME;
}

/** Inodes that wait until it is known where they go: at the beginning of a block, in a row. */
export class InodeArea {
  readonly #parts: { readonly inode: Inode; readonly offset: number; readonly bytes: Buffer }[] =
    [];
  #end = 0;

  get size(): number {
    return this.#end;
  }

  /** Where an inode would go, which then is taken. */
  place(head: number, content: Pick<InodeContent, 'layout'>, bodySize: number): number {
    const offset = Math.ceil(this.#end / SLOT) * SLOT;
    const size = head + bodySize;
    // What is inline does not cross the end of a block, and the kernel looks for a link in the block of its inode.
    const isSplit = content.layout === LAYOUT.inline && (offset % BLOCK) + size > BLOCK;
    const start = isSplit ? Math.ceil(offset / BLOCK) * BLOCK : offset;
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

  /** The whole blocks, once it is known where they begin; then the area is empty. */
  flush(start: number, numbers: Map<Inode, number>): Buffer {
    const all = Buffer.alloc(Math.ceil(this.#end / BLOCK) * BLOCK);
    for (const { inode, offset, bytes } of this.#parts.splice(0)) {
      all.set(bytes, offset);
      numbers.set(inode, (start + offset) / SLOT);
    }
    this.#end = 0;
    return all;
  }
}
