// https://docs.kernel.org/driver-api/early-userspace/buffer-format.html (newc)
import { LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { InodeEntry } from '../file-system/inode-entry.ts';

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const HEADER = 110;
/** Sizes are 32 bits. */
const MAX_SIZE = 2 ** 32 - 1;
/** PATH_MAX with its NUL; the kernel leaves out what has a longer name or target. */
const MAX_PATH = 4095;

const FORMAT: Readonly<Record<InodeEntry['type'], number>> = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

/** The inode number of an entry and how many names of the archive share it. */
export interface CpioInode {
  readonly number: number;
  readonly links: number;
}

/**
 * The header of an entry, its name and the padding after it. `size` is what follows: the content, the target of a
 * symlink, nothing for the names of a file but the last.
 */
export function cpioHeader(entry: InodeEntry, inode: CpioInode, size: number): Buffer {
  const isDevice = entry.type === 'char' || entry.type === 'block';
  return header(entry.path, [
    inode.number,
    FORMAT[entry.type] | entry.mode,
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

/** The end of an archive. What was said about inode numbers ends with it. */
export function cpioTrailer(): Buffer {
  return header(TRAILER, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
}

/** Zero bytes up to the next multiple of four. */
export function padding(size: number): Buffer {
  return Buffer.alloc((4 - (size % 4)) % 4);
}

/**
 * That an initramfs can hold the entry.
 * @throws LktError UNSUPPORTED, naming the part
 */
export function checkFits(entry: InodeEntry, label: string): void {
  const what = `/${fromRaw(entry.path)} of ${label}`;
  if (entry.size > MAX_SIZE) {
    throw new LktError(
      'UNSUPPORTED',
      `${what} has ${entry.size} bytes; a file in an initramfs (cpio newc) has less than 4 GiB`,
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
  const length = HEADER + nameSize;
  const block = Buffer.alloc(length + padding(length).length);
  block.write(MAGIC + numbers.join('').toUpperCase(), 'latin1');
  block.write(name, HEADER, 'latin1');
  return block;
}
