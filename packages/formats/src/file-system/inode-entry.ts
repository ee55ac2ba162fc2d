import type { Entry, EntryType } from '@lkt/oci';

/** One path of a file system: an entry that is not another name of an earlier one. */
export interface InodeEntry extends Omit<Entry, 'type' | 'pax'> {
  readonly type: Exclude<EntryType, 'hardlink'>;
}
