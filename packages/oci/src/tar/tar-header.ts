import type { EntryType } from './entry.ts';

/** Size of a tar block in bytes (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const BLOCK = 512;

/** Offset and length of a header field in bytes. */
export interface Field {
  readonly start: number;
  readonly length: number;
}

/** The fields of a ustar header (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const field = {
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
} as const;

/** Magic and version. */
export const USTAR_MAGIC = 'ustar\x0000';
/** Magic and version of GNU's format. */
export const GNU_MAGIC = 'ustar  \x00';

/** The typeflag of each entry type. */
export const typeflags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** Maximum bytes of a PAX header, GNU long name or long link, as in libarchive and Go. */
export const MAX_META: number = 1 << 20;

/** Prefix of the PAX keys of extended attributes. */
export const XATTR_KEY = 'SCHILY.xattr.';

/** PAX keys that override header fields, as opposed to vendor records. */
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

/**
 * Returns the sums of the block's bytes with the checksum field counted as blanks: unsigned as in
 * POSIX, and signed as in old Sun tars.
 */
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

/** Returns the number of bytes from `size` to the next block boundary. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
