import type { BigIntStats, Stats } from 'node:fs';

/** The granularity of ctime in milliseconds: two changes within it may have the same ctime. */
const CTIME_GRANULARITY_MS = 50;

/**
 * A stamp of a file that differs after any change of its content. It includes the ctime, which no
 * program can set.
 */
export type FileState = string & { readonly __state: unique symbol };

/** Returns the stamp of a file from its `stat({ bigint: true })`. */
export function fileState({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ') as FileState;
}

/** Reports whether the last change is old enough that a later one would get another ctime. */
export function isSettled({
  ctimeMs,
}: Pick<Stats, 'ctimeMs'> | Pick<BigIntStats, 'ctimeMs'>): boolean {
  return Date.now() - Number(ctimeMs) >= CTIME_GRANULARITY_MS;
}
