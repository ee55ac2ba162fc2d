import type { Entry, EntryType } from '@lkt/oci';

/** An entry of a file system that is not a hard link to an earlier one. */
export interface InodeEntry extends Omit<Entry, 'type' | 'pax'> {
  readonly type: Exclude<EntryType, 'hardlink'>;
}

/** The file types of `st_mode` (S_IF…). */
export const FILE_TYPE: Readonly<Record<InodeEntry['type'], number>> = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

const TYPES = new Map(
  Object.entries(FILE_TYPE).map(([type, bits]) => [bits, type as InodeEntry['type']]),
);

/** Returns the file type of `st_mode`; undefined for an unknown one. */
export function typeOf(mode: number): InodeEntry['type'] | undefined {
  return TYPES.get(mode & 0o170000);
}
