import type { Entry, EntryType } from '@lkt/oci';

/** An entry of a file system that is not a hard link to an earlier one. */
export interface InodeEntry extends Omit<Entry, 'type' | 'pax'> {
  readonly type: Exclude<EntryType, 'hardlink'>;
}
