import type { BigIntStats } from 'node:fs';

/** Milliseconds after which the time of a change is over: one that comes then has another time. */
const CTIME_GRANULARITY_MS = 50;

/** All that the kernel says of a file that changes when its content does; nobody can set the last of it. */
export type FileState = string & { readonly __state: unique symbol };

export function fileState({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ') as FileState;
}

/** Whether the last change was a while ago. After one of this moment another may leave no trace. */
export function isSettled({ ctimeMs }: BigIntStats): boolean {
  return Date.now() - Number(ctimeMs) >= CTIME_GRANULARITY_MS;
}
