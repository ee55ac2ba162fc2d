import { closeSync, mkdirSync, openSync } from 'node:fs';
import { SystemCallError } from '../system/c-library.ts';
import { ioctl } from '../system/syscalls.ts';

// ioctl_iflags(2): the kernel reads and writes 32 bits, although the numbers mean 64.
const [FS_IOC_GETFLAGS, FS_IOC_SETFLAGS] = [0x8008_6601, 0x4008_6602];
const FS_TOPDIR_FL = 0x0002_0000;

/**
 * Makes a directory in one of this process's own. On ext4 its files are away from recently removed
 * ones: an inode number stays unused for five minutes, and making a file skips all such numbers
 * nearby. A build of 5,000 files took twice as long after one that had removed as many.
 */
export function makeTopDir(parent: string): string {
  // Spreads its subdirectories by their names: chattr(1), T.
  addFlag(parent, FS_TOPDIR_FL);
  const path = `${parent}/${process.pid}`;
  mkdirSync(path);
  return path;
}

function addFlag(path: string, flag: number): void {
  const directory = openSync(path, 'r');
  try {
    const flags = Buffer.alloc(8);
    ioctl(directory, FS_IOC_GETFLAGS, flags);
    flags.writeUInt32LE((flags.readUInt32LE(0) | flag) >>> 0);
    ioctl(directory, FS_IOC_SETFLAGS, flags);
  } catch (error) {
    // Other file systems lack the flag.
    if (!(error instanceof SystemCallError)) throw error;
  } finally {
    closeSync(directory);
  }
}
