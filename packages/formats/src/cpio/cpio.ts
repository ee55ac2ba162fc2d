// https://docs.kernel.org/driver-api/early-userspace/buffer-format.html (newc)
import { LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { Inode } from '../file-system/file-system.ts';
import { FILE_TYPE, type InodeEntry } from '../file-system/inode-entry.ts';

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const HEADER_SIZE = 110;
/** Sizes have 32 bits. */
const MAX_SIZE = 2 ** 32 - 1;
/** PATH_MAX without its NUL; the kernel skips longer names and targets. */
const MAX_PATH = 4095;

/** The inode number of an entry, and the number of its names in the archive. */
export type CpioInode = Pick<Inode, 'number' | 'links'>;

/**
 * Returns the header of an entry, its name and cpioPadding. `size` is the length of the data that
 * follows: a content or symlink target; 0 for all names of a file but the last.
 */
export function cpioHeader(entry: InodeEntry, inode: CpioInode, size: number): Buffer {
  const isDevice = entry.type === 'char' || entry.type === 'block';
  return header(entry.path, [
    inode.number,
    FILE_TYPE[entry.type] | entry.mode,
    entry.uid,
    entry.gid,
    inode.links,
    entry.mtime,
    size,
    0,
    0,
    isDevice ? (entry.devMajor ?? 0) : 0,
    isDevice ? (entry.devMinor ?? 0) : 0,
  ]);
}

/** Returns the trailer that ends an archive. Inode numbers are only valid within one archive. */
export function cpioTrailer(): Buffer {
  return header(TRAILER, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
}

/** Returns zero bytes up to the next multiple of four. */
export function cpioPadding(size: number): Buffer {
  return Buffer.alloc((4 - (size % 4)) % 4);
}

/**
 * Checks that an initramfs can contain the entry.
 * @param label the origin of the entry, for the error
 * @throws UNSUPPORTED for files of 4 GiB or more, and for names that are too long or reserved
 */
export function checkCpioEntry(entry: InodeEntry, label: string): void {
  const what = `/${fromRaw(entry.path)} of ${label}`;
  if (entry.size > MAX_SIZE) {
    throw new LktError(
      'UNSUPPORTED',
      `${what} has ${entry.size} bytes; a file in an initramfs (cpio newc) must be smaller than 4 GiB`,
    );
  }
  if (entry.path.length > MAX_PATH || (entry.link?.length ?? 0) > MAX_PATH)
    throw new LktError('UNSUPPORTED', `${what} has a path or target longer than ${MAX_PATH} bytes`);
  if (entry.path === TRAILER)
    throw new LktError('UNSUPPORTED', `${what} has the name that ends a cpio archive`);
}

function header(name: RawPath, fields: readonly number[]): Buffer {
  const nameSize = name.length + 1;
  const numbers = [...fields, nameSize, 0].map((field) => field.toString(16).padStart(8, '0'));
  const length = HEADER_SIZE + nameSize;
  const block = Buffer.alloc(length + cpioPadding(length).length);
  block.write(MAGIC + numbers.join('').toUpperCase(), 'latin1');
  block.write(name, HEADER_SIZE, 'latin1');
  return block;
}
