import type { EntryType } from './entry.ts';

/** POSIX.1-2017, pax, "ustar Interchange Format": where the fields of a header block are. */
export const BLOCK = 512;

export interface Field {
  readonly start: number;
  readonly length: number;
}

type FieldName =
  | 'name'
  | 'mode'
  | 'uid'
  | 'gid'
  | 'size'
  | 'mtime'
  | 'checksum'
  | 'typeflag'
  | 'linkname'
  | 'magic'
  | 'uname'
  | 'gname'
  | 'devMajor'
  | 'devMinor'
  | 'prefix';

export const field: Readonly<Record<FieldName, Field>> = {
  name: { start: 0, length: 100 },
  mode: { start: 100, length: 8 },
  uid: { start: 108, length: 8 },
  gid: { start: 116, length: 8 },
  size: { start: 124, length: 12 },
  mtime: { start: 136, length: 12 },
  checksum: { start: 148, length: 8 },
  typeflag: { start: 156, length: 1 },
  linkname: { start: 157, length: 100 },
  magic: { start: 257, length: 8 },
  uname: { start: 265, length: 32 },
  gname: { start: 297, length: 32 },
  devMajor: { start: 329, length: 8 },
  devMinor: { start: 337, length: 8 },
  prefix: { start: 345, length: 155 },
};

/** Magic and version. */
export const USTAR_MAGIC = 'ustar\x0000';
export const GNU_MAGIC = 'ustar  \x00';

export const typeflags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** Longest PAX header, GNU long name or long link; libarchive and Go have the same. */
export const MAX_META: number = 1 << 20;

/** Prefix of the PAX keys of extended attributes. */
export const XATTR_KEY = 'SCHILY.xattr.';

/** PAX keys that hold a field of the header; they are never vendor records. */
export const headerKeys: ReadonlySet<string> = new Set([
  'path',
  'linkpath',
  'size',
  'uid',
  'gid',
  'uname',
  'gname',
  'mtime',
  'atime',
  'ctime',
  'charset',
  'comment',
  'hdrcharset',
]);

/** Sums of the block's bytes, the checksum field counted as blanks: as POSIX has it, and as old Sun tars (signed). */
export function checksums(block: Uint8Array): { unsigned: number; signed: number } {
  let unsigned = 0;
  let high = 0;
  for (let index = 0; index < BLOCK; index += 1) {
    if (index === field.checksum.start) {
      unsigned += 8 * 0x20;
      index += field.checksum.length - 1;
      continue;
    }
    const byte = block[index] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  return { unsigned, signed: unsigned - 256 * high };
}

/** Bytes from `size` up to the next block. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** Whether a block is the header of an entry: it holds something, and its checksum is right. */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.length !== BLOCK || block.every((byte) => byte === 0)) return false;
  const { start, length } = field.checksum;
  const digits = Buffer.from(block).toString('latin1', start, start + length);
  const match = /^[ \0]*([0-7]+)[ \0]*$/.exec(digits);
  if (match === null) return false;
  const sum = Number.parseInt(match[1] ?? '', 8);
  const { unsigned, signed } = checksums(block);
  return sum === unsigned || sum === signed;
}
