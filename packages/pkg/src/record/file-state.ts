import { lstatSync, readFileSync, statSync } from 'node:fs';
import { digestOf, isErrno } from '@lkt/core';

/** What is longer is not read only to see that it is as it was. */
const MAX_SIZE = 16 * 2 ** 20;

/**
 * The digest of a file, or `absent`; undefined for anything else, such as a link that leads
 * nowhere, and for what cannot be read or is long.
 */
export function fileState(path: string): string | undefined {
  try {
    const stats = statSync(path);
    return stats.isFile() && stats.size <= MAX_SIZE ? digestOf(readFileSync(path)) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return isLink(path) ? undefined : 'absent';
    if (error instanceof Error && 'syscall' in error) return undefined;
    throw error;
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
