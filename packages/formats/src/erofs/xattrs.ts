// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h: extended attributes
import { LktError } from '@lkt/core';
import { compareBytes } from '@lkt/oci';
import { roundUp } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';
import { type Inode, nameOf } from '../file-system/file-system.ts';

/** Prefixes of attribute names with their indexes (EROFS_XATTR_INDEX_…). */
export const XATTR_PREFIXES: ReadonlyMap<string, number> = new Map([
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
]);
/** Size of the header before the first attribute. */
export const XATTR_HEADER = 12;
const entryHead = packer('<BBH');
const MAX_NAME_LENGTH = 0xff;
const MAX_VALUE_LENGTH = 0xffff;
/** The inode stores their size as a 16-bit count of words. */
const MAX_XATTRS_SIZE = 4 * 0xfffe + XATTR_HEADER;

/**
 * Returns the extended attributes as they follow the inode, in whole words; empty without
 * attributes.
 * @throws UNSUPPORTED for attributes that exceed the limits
 */
export function xattrBytes(inode: Inode): Buffer {
  const entries = [...(inode.xattrs ?? [])]
    .toSorted(([a], [b]) => compareBytes(a, b))
    .flatMap(([name, value]) => entryOf(inode, name, value));
  if (entries.length === 0) return Buffer.alloc(0);
  const bytes = Buffer.concat([Buffer.alloc(XATTR_HEADER), ...entries]);
  if (bytes.length <= MAX_XATTRS_SIZE) return bytes;
  throw new LktError(
    'UNSUPPORTED',
    `${nameOf(inode)} has extended attributes of ${bytes.length} bytes; an erofs allows at most ${MAX_XATTRS_SIZE}`,
  );
}

function entryOf(inode: Inode, name: string, value: Uint8Array): readonly Buffer[] {
  const found = [...XATTR_PREFIXES].find(([prefix]) => name.startsWith(prefix));
  if (found === undefined) return [];
  const [prefix, index] = found;
  const rest = Buffer.from(name.slice(prefix.length), 'latin1');
  if (rest.length > MAX_NAME_LENGTH || value.length > MAX_VALUE_LENGTH)
    throw new LktError(
      'UNSUPPORTED',
      `${nameOf(inode)} has an extended attribute ${name} of ${value.length} bytes; an erofs allows at most ${MAX_VALUE_LENGTH}`,
    );
  const head = entryHead(rest.length, index, value.length);
  return [Buffer.concat([head, rest, value], roundUp(head.length + rest.length + value.length, 4))];
}
