// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h
import { inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { LktError } from '@lkt/core';
import { unlz4Block } from '../compression/unlz4.ts';
import { type InodeEntry, typeOf } from '../file-system/inode-entry.ts';
import { BLOCK_SIZE, CHUNK_SIZE, LAYOUT, SLOT_SIZE } from './inode.ts';
import { XATTR_HEADER, XATTR_PREFIXES } from './xattrs.ts';

/** Bytes with random access. */
export interface RandomAccess {
  readonly size: number;
  /**
   * Reads exactly `length` bytes.
   * @throws ARCHIVE_INVALID at the end of the data
   */
  read(at: number, length: number): Promise<Buffer>;
}

/** An inode of an erofs image. */
export interface ErofsInode extends Omit<InodeEntry, 'path' | 'link' | 'devMajor' | 'devMinor'> {
  readonly id: number;
  readonly links: number;
  /** The first block of the content, or another value, depending on the layout. */
  readonly word: number;
  readonly layout: number;
  /** The offset after the inode and its attributes. */
  readonly bodyAt: number;
}

const SUPERBLOCK_OFFSET = 1024;
const MAGIC = 0xe0f5_e1e2;

/** Decompressors, by the algorithm of a compressed file. */
const DECOMPRESS: ReadonlyMap<number, (packed: Buffer, size: number) => Buffer> = new Map([
  [0, (packed, size) => unlz4Block(packed, size)],
  [2, (packed, size) => inflateRawSync(packed, { maxOutputLength: size })],
  [3, (packed, size) => zstdDecompressSync(packed, { maxOutputLength: size })],
]);

/**
 * Reads inodes and contents of an erofs as lkt writes it. Methods throw ARCHIVE_INVALID for invalid
 * data, and UNSUPPORTED for features that lkt does not write.
 */
export class ErofsImage {
  readonly #bytes: RandomAccess;
  readonly #time: number;
  readonly root: number;

  private constructor(bytes: RandomAccess, superblock: Buffer) {
    this.#bytes = bytes;
    this.#time = Number(superblock.readBigUInt64LE(24));
    this.root = superblock.readUInt16LE(14);
  }

  static async open(bytes: RandomAccess): Promise<ErofsImage> {
    const superblock = await bytes.read(SUPERBLOCK_OFFSET, 128);
    if (superblock.readUInt32LE(0) !== MAGIC) throw erofsError('it has no erofs magic number');
    if (superblock.readUInt8(12) !== Math.log2(BLOCK_SIZE) || superblock.readUInt32LE(40) !== 0)
      throw new LktError('UNSUPPORTED', 'lkt cannot read an erofs that another program made');
    return new ErofsImage(bytes, superblock);
  }

  async inode(id: number): Promise<ErofsInode> {
    const at = id * SLOT_SIZE;
    const short = await this.#bytes.read(at, 32);
    const format = short.readUInt16LE(0);
    const isLong = (format & 1) === 1;
    const head = isLong ? await this.#bytes.read(at, 64) : short;
    const mode = head.readUInt16LE(4);
    const type = typeOf(mode);
    if (type === undefined) throw erofsError('an inode has an unknown type');
    const words = head.readUInt16LE(2);
    const attributes = words === 0 ? 0 : XATTR_HEADER + 4 * (words - 1);
    const base = {
      id,
      type,
      mode: mode & 0o7777,
      layout: format >> 1,
      word: head.readUInt32LE(16),
      bodyAt: at + head.length + attributes,
      xattrs:
        attributes === 0
          ? undefined
          : attributesIn(await this.#bytes.read(at + head.length, attributes)),
    };
    return isLong
      ? {
          ...base,
          size: Number(head.readBigUInt64LE(8)),
          uid: head.readUInt32LE(24),
          gid: head.readUInt32LE(28),
          mtime: Number(head.readBigUInt64LE(32)),
          links: head.readUInt32LE(44),
        }
      : {
          ...base,
          size: head.readUInt32LE(8),
          uid: head.readUInt16LE(24),
          gid: head.readUInt16LE(26),
          mtime: this.#time,
          links: head.readUInt16LE(6),
        };
  }

  /** Streams the content of a file, directory or symlink. */
  async *content(inode: ErofsInode): AsyncGenerator<Buffer> {
    const { layout, size, word, bodyAt } = inode;
    if (layout === LAYOUT.flat) {
      yield* this.#contiguous(word, size);
    } else if (layout === LAYOUT.inline) {
      const tail = size % BLOCK_SIZE;
      yield* this.#contiguous(word, size - tail);
      yield await this.#bytes.read(bodyAt, tail);
    } else if (layout === LAYOUT.chunks && word === Math.log2(CHUNK_SIZE / BLOCK_SIZE)) {
      const starts = await this.#bytes.read(bodyAt, 4 * Math.ceil(size / CHUNK_SIZE));
      for (let at = 0; at < size; at += CHUNK_SIZE)
        yield* this.#contiguous(
          starts.readUInt32LE((at / CHUNK_SIZE) * 4),
          Math.min(CHUNK_SIZE, size - at),
        );
    } else if (layout === LAYOUT.compressed) {
      yield* this.#compressed(inode);
    } else {
      throw new LktError('UNSUPPORTED', 'lkt cannot read an erofs that another program made');
    }
  }

  /** Streams contiguous blocks. */
  async *#contiguous(block: number, size: number): AsyncGenerator<Buffer> {
    for (let done = 0; done < size; done += CHUNK_SIZE)
      yield await this.#bytes.read(block * BLOCK_SIZE + done, Math.min(CHUNK_SIZE, size - done));
  }

  async *#compressed({ size, bodyAt }: ErofsInode): AsyncGenerator<Buffer> {
    const at = Math.ceil(bodyAt / 8) * 8;
    const header = await this.#bytes.read(at, 16);
    const decompress = DECOMPRESS.get(header.readUInt8(6));
    if (decompress === undefined) throw erofsError('a file has an unknown compression');
    const index = await this.#bytes.read(at + 16, 8 * Math.ceil(size / BLOCK_SIZE));
    for (let done = 0; done < size; done += CHUNK_SIZE) {
      const length = Math.min(CHUNK_SIZE, size - done);
      const first = (done / BLOCK_SIZE) * 8;
      const entries = index.subarray(first, first + 8 * Math.ceil(length / BLOCK_SIZE));
      const start = entries.readUInt32LE(4);
      if (entries.readUInt16LE(0) === PLAIN_CLUSTER) {
        yield* this.#contiguous(start, length);
        continue;
      }
      const counts = entries.length > 8 && entries.readUInt16LE(8) === LATER_CLUSTER;
      const blocks = counts ? entries.readUInt16LE(12) & BLOCK_COUNT_MASK : 1;
      const packed = await this.#bytes.read(start * BLOCK_SIZE, blocks * BLOCK_SIZE);
      const zeros = packed.findIndex((byte) => byte !== 0);
      yield decompressed(packed.subarray(Math.max(zeros, 0)), length, decompress);
    }
  }
}

const PLAIN_CLUSTER = 0;
const LATER_CLUSTER = 2;
const BLOCK_COUNT_MASK = 0x7ff;

function decompressed(
  packed: Buffer,
  size: number,
  decompress: (packed: Buffer, size: number) => Buffer,
): Buffer {
  let data: Buffer;
  try {
    data = decompress(packed, size);
  } catch (cause) {
    throw new LktError('ARCHIVE_INVALID', 'the erofs is invalid: a file cannot be decompressed', {
      cause,
    });
  }
  if (data.length !== size) throw erofsError('a file decompresses to a wrong size');
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
      throw erofsError('an extended attribute is malformed');
    const name = prefix + bytes.toString('latin1', at + 4, value);
    found.set(name, Uint8Array.from(bytes.subarray(value, value + valueSize)));
    at = Math.ceil((value + valueSize) / 4) * 4;
  }
  return found;
}

/** Returns the error for an invalid image. */
export function erofsError(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the erofs is invalid: ${what}`);
}
