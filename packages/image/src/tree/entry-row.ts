import type { Entry, EntryType, RawPath } from '@lkt/oci';

/** The fields that every entry has, in the order in which records of the store have them. */
export type EntryRow = readonly [
  path: RawPath,
  type: EntryType,
  mode: number,
  uid: number,
  gid: number,
  mtime: number,
  size: number,
];

/** Returns the fields of an entry as a row. */
export function entryRow({ path, type, mode, uid, gid, mtime, size }: Entry): EntryRow {
  return [path, type, mode, uid, gid, mtime, size];
}
