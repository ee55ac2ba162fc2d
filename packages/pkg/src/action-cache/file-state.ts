import { lstatSync, readFileSync, statSync } from 'node:fs';
import { digestOf, isErrno } from '@lkt/core';

/** Larger files are not hashed: hashing would take longer than the action that the cache skips. */
const MAX_SIZE = 16 * 2 ** 20;

/** The SHA-256 digest of a file, or `absent`. */
export type FileState = string;

/**
 * Returns the state of a file, or undefined if it cannot be tracked: it is not a regular file, is
 * longer than 16 MiB, cannot be read, or is a dangling symlink.
 */
export function fileState(path: string): FileState | undefined {
  try {
    const stats = statSync(path);
    return stats.isFile() && stats.size <= MAX_SIZE ? digestOf(readFileSync(path)) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return isLink(path) ? undefined : 'absent';
    if (error instanceof Error && 'syscall' in error) return undefined;
    throw error;
  }
}

/** Returns the state of each file, keyed by path. */
export function fileStates(paths: Iterable<string>): ReadonlyMap<string, FileState | undefined> {
  return new Map([...paths].map((path) => [path, fileState(path)]));
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
