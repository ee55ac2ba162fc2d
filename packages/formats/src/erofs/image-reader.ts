// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h
import { inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { LktError } from '@lkt/core';
import type { EntryType } from '@lkt/oci';
import { unlz4Block } from '../compression/unlz4.ts';
import { BLOCK, CHUNK, LAYOUT, SLOT } from './inode.ts';
import { XATTR_HEADER, XATTR_PREFIXES } from './xattrs.ts';

/** Bytes of which any can be had. */
export interface RandomBytes {
  readonly size: number;
  /** Fails where there are not so many. */
  read(at: number, length: number): Promise<Buffer>;
}

export interface ErofsInode {
  readonly id: number;
  readonly type: Exclude<EntryType, 'hardlink'>;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size: number;
  readonly links: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** Where the content is, or what else stands in its place. */
  readonly word: number;
  readonly layout: number;
  /** What stands behind the inode and its attributes. */
  readonly bodyAt: number;
}

const SUPERBLOCK_AT = 1024;
const MAGIC = 0xe0f5_e1e2;

const TYPES: ReadonlyMap<number, ErofsInode['type']> = new Map([
  [0o010000, 'fifo'],
  [0o020000, 'char'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
]);

/** How contents are unpacked, by the number that a packed one has. */
const UNPACK: ReadonlyMap<number, (packed: Buffer, size: number) => Buffer> = new Map([
  [0, (packed, size) => unlz4Block(packed, size)],
  [2, (packed, size) => inflateRawSync(packed, { maxOutputLength: size })],
  [3, (packed, size) => zstdDecompressSync(packed, { maxOutputLength: size })],
]);

/** The inodes of an erofs as lkt writes it, and their contents. @throws LktError ARCHIVE_INVALID, UNSUPPORTED */
export class ErofsImage {
  readonly #bytes: RandomBytes;
  readonly #time: number;
  readonly root: number;

  private constructor(bytes: RandomBytes, superblock: Buffer) {
    this.#bytes = bytes;
    this.#time = Number(superblock.readBigUInt64LE(24));
    this.root = superblock.readUInt16LE(14);
  }

  static async open(bytes: RandomBytes): Promise<ErofsImage> {
    const superblock = await bytes.read(SUPERBLOCK_AT, 128);
    if (superblock.readUInt32LE(0) !== MAGIC) throw broken('it does not begin as one does');
    if (superblock.readUInt8(12) !== Math.log2(BLOCK) || superblock.readUInt32LE(40) !== 0)
      throw new LktError('UNSUPPORTED', 'it is an erofs that another program made');
    return new ErofsImage(bytes, superblock);
  }

  async inode(id: number): Promise<ErofsInode> {
    const at = id * SLOT;
    const short = await this.#bytes.read(at, 32);
    const format = short.readUInt16LE(0);
    const isLong = (format & 1) === 1;
    const head = isLong ? await this.#bytes.read(at, 64) : short;
    const mode = head.readUInt16LE(4);
    const type = TYPES.get(mode & 0o170000);
    if (type === undefined) throw broken('something is of no type that there is');
    const words = head.readUInt16LE(2);
    const attributes = words === 0 ? 0 : XATTR_HEADER + 4 * (words - 1);
    const base = {
      id,
      type,
      mode: mode & 0o7777,
      layout: format >> 1,
      word: head.readUInt32LE(16),
    };
    const xattrs =
      attributes === 0
        ? {}
        : { xattrs: attributesIn(await this.#bytes.read(at + head.length, attributes)) };
    const rest = { bodyAt: at + head.length + attributes, ...xattrs };
    return isLong
      ? {
          ...base,
          ...rest,
          size: Number(head.readBigUInt64LE(8)),
          uid: head.readUInt32LE(24),
          gid: head.readUInt32LE(28),
          mtime: Number(head.readBigUInt64LE(32)),
          links: head.readUInt32LE(44),
        }
      : {
          ...base,
          ...rest,
          size: head.readUInt32LE(8),
          uid: head.readUInt16LE(24),
          gid: head.readUInt16LE(26),
          mtime: this.#time,
          links: head.readUInt16LE(6),
        };
  }

  /** The content of a file, a directory or a link, in pieces. */
  async *content(inode: ErofsInode): AsyncGenerator<Buffer> {
    const { layout, size, word, bodyAt } = inode;
    if (layout === LAYOUT.plain) {
      yield* this.#row(word, size);
    } else if (layout === LAYOUT.inline) {
      const tail = size % BLOCK;
      yield* this.#row(word, size - tail);
      yield await this.#bytes.read(bodyAt, tail);
    } else if (layout === LAYOUT.chunks && word === Math.log2(CHUNK / BLOCK)) {
      const starts = await this.#bytes.read(bodyAt, 4 * Math.ceil(size / CHUNK));
      for (let at = 0; at < size; at += CHUNK)
        yield* this.#row(starts.readUInt32LE((at / CHUNK) * 4), Math.min(CHUNK, size - at));
    } else if (layout === LAYOUT.packed) {
      yield* this.#packed(inode);
    } else {
      throw new LktError('UNSUPPORTED', 'it is an erofs that another program made');
    }
  }

  /** Blocks in a row. */
  async *#row(block: number, size: number): AsyncGenerator<Buffer> {
    for (let done = 0; done < size; done += CHUNK)
      yield await this.#bytes.read(block * BLOCK + done, Math.min(CHUNK, size - done));
  }

  async *#packed({ size, bodyAt }: ErofsInode): AsyncGenerator<Buffer> {
    const at = Math.ceil(bodyAt / 8) * 8;
    const header = await this.#bytes.read(at, 16);
    const unpack = UNPACK.get(header.readUInt8(6));
    if (unpack === undefined) throw broken('something is packed by nothing that there is');
    const index = await this.#bytes.read(at + 16, 8 * Math.ceil(size / BLOCK));
    for (let done = 0; done < size; done += CHUNK) {
      const length = Math.min(CHUNK, size - done);
      const first = (done / BLOCK) * 8;
      const entries = index.subarray(first, first + 8 * Math.ceil(length / BLOCK));
      const start = entries.readUInt32LE(4);
      if (entries.readUInt16LE(0) === PLAIN) {
        yield* this.#row(start, length);
        continue;
      }
      const counts = entries.length > 8 && entries.readUInt16LE(8) === OTHER;
      const blocks = counts ? entries.readUInt16LE(12) & COUNT : 1;
      const packed = await this.#bytes.read(start * BLOCK, blocks * BLOCK);
      const zeros = packed.findIndex((byte) => byte !== 0);
      yield unpacked(packed.subarray(Math.max(zeros, 0)), length, unpack);
    }
  }
}

const PLAIN = 0;
const OTHER = 2;
const COUNT = 0x7ff;

function unpacked(
  packed: Buffer,
  size: number,
  unpack: (packed: Buffer, size: number) => Buffer,
): Buffer {
  let data: Buffer;
  try {
    data = unpack(packed, size);
  } catch (cause) {
    throw new LktError('ARCHIVE_INVALID', 'the erofs is broken: something cannot be unpacked', {
      cause,
    });
  }
  if (data.length !== size) throw broken('something unpacks to another size than it has');
  return data;
}

function attributesIn(bytes: Buffer): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (let at = XATTR_HEADER; at + 4 <= bytes.length;) {
    const [length, valueSize] = [bytes.readUInt8(at), bytes.readUInt16LE(at + 2)];
    const number = bytes.readUInt8(at + 1);
    const prefix = [...XATTR_PREFIXES].find(([, index]) => index === number)?.[0];
    const value = at + 4 + length;
    if (prefix === undefined || value + valueSize > bytes.length)
      throw broken('an attribute is none');
    const name = prefix + bytes.toString('utf8', at + 4, value);
    found.set(name, Uint8Array.from(bytes.subarray(value, value + valueSize)));
    at = Math.ceil((value + valueSize) / 4) * 4;
  }
  return found;
}

export function broken(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the erofs is broken: ${what}`);
}
