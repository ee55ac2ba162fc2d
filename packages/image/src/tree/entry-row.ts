import type { Entry, EntryType, RawPath } from '@lkt/oci';

/** Fields of every entry, in the order of the store's records. */
export type EntryRow = readonly [
  path: RawPath,
  type: EntryType,
  mode: number,
  uid: number,
  gid: number,
  mtime: number,
  size: number,
];

export function entryRow({ path, type, mode, uid, gid, mtime, size }: Entry): EntryRow {
  return [path, type, mode, uid, gid, mtime, size];
}
