import { open } from 'node:fs/promises';
import { isErrno, LktError } from '@lkt/core';
import type { RawPath } from '@lkt/oci';
import { cpioHeader, cpioTrailer } from '@lkt/formats';
import { rootEntry } from '../tree/memory.ts';
import type { Root } from '../tree/merge.ts';
import type { TreeEntry } from '../tree/part.ts';
import { isBoot } from './segment.ts';

/** Facts about an initrd, stored uncompressed at its end for the boot command. */
export interface InitrdInfo {
  /** Bytes of all files in the root file system. */
  readonly unpackedBytes: number;
  /** MiB of memory that the kernel needs to unpack it. */
  readonly minimumMemory: number;
}

const INFO_PATH: RawPath = 'usr/share/lkt/initrd';
const INFO_SIZE = 128;
const PAGE = 4096;
const MIB = 2 ** 20;
/** Bytes of kernel memory for an inode and its directory entry. */
const INODE = 1024;
/** Default size of a kernel: Debian's cloud kernel, which is larger than most. */
const KERNEL = 56 * MIB;
/**
 * Memory to unpack and to start init. Measured with Debian's kernel and kernel/linux, which is half
 * its size: with 8 to 16 MiB less than the sum, files or init are missing. Excludes memory of
 * services.
 */
const WORKING = 24 * MIB;

/**
 * Returns the memory that an initrd needs. The kernel unpacks into a tmpfs limited to half of the
 * memory left by the kernel and the initrd, or with `rootfstype=ramfs` into an unlimited ramfs.
 * @param kernelSize bytes of the unpacked kernel
 */
export function memoryFor(
  root: Root,
  initrdSize: number,
  cmdline: string,
  kernelSize: number = KERNEL,
): InitrdInfo {
  const seen = new Set<string>();
  let unpackedBytes = 0;
  let inodes = 0;
  for (const { path, part, type, size, content } of root.entries.values()) {
    if (isBoot(path)) continue;
    if (type === 'file' && size > 0) {
      const inode = `${part}\0${content}`;
      if (seen.has(inode)) continue;
      seen.add(inode);
      unpackedBytes += Math.ceil(size / PAGE) * PAGE;
    }
    inodes += 1;
  }
  const limit = isRamfs(cmdline) ? 0 : 2 * unpackedBytes + kernelSize;
  const bytes = Math.max(limit, unpackedBytes + kernelSize + WORKING) + inodes * INODE + initrdSize;
  return { unpackedBytes, minimumMemory: Math.ceil(bytes / MIB / 8) * 8 };
}

/** Reports whether a kernel with this command line unpacks into a ramfs. */
export function isRamfs(cmdline: string): boolean {
  return /(?:^|\s)rootfstype=ramfs(?:\s|$)/.test(cmdline);
}

/** Returns the last archive of an initrd: one file of fixed length, found from the end. */
export function infoArchive({ unpackedBytes, minimumMemory }: InitrdInfo): Buffer {
  const text = `lkt-initrd 1\nunpacked-bytes ${unpackedBytes}\nminimum-memory ${minimumMemory}\n`;
  return Buffer.concat([INFO_HEADER, Buffer.from(text.padEnd(INFO_SIZE, '\n')), cpioTrailer()]);
}

/**
 * Reads the facts at the end of an initrd; undefined if another program made it.
 * @throws LktError NOT_FOUND
 */
export async function readInitrdInfo(path: string): Promise<InitrdInfo | undefined> {
  const length = INFO_HEADER.length + INFO_SIZE + cpioTrailer().length;
  const tail = Buffer.alloc(length);
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    await file.read(tail, 0, length, Math.max(0, size - length));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'))
      throw new LktError('NOT_FOUND', `cannot read the initrd ${path}`, { cause: error });
    throw error;
  }
  if (!tail.subarray(0, INFO_HEADER.length).equals(INFO_HEADER)) return undefined;
  const text = tail.toString('latin1', INFO_HEADER.length, INFO_HEADER.length + INFO_SIZE);
  const match = /^lkt-initrd 1\nunpacked-bytes (\d+)\nminimum-memory (\d+)\n/.exec(text);
  if (match === null) return undefined;
  return { unpackedBytes: Number(match[1]), minimumMemory: Number(match[2]) };
}

const INFO_ENTRY: TreeEntry = rootEntry(INFO_PATH, 'file', 0o444, INFO_SIZE);

const INFO_HEADER = cpioHeader(INFO_ENTRY, { number: 1, links: 1 }, INFO_SIZE);
