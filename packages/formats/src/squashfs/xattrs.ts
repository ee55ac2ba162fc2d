import { LktError } from '@lkt/core';
import { compareBytes } from '@lkt/oci';
import { packer } from '../bytes/pack.ts';
import { type FileSystem, type Inode, nameOf } from '../file-system/file-system.ts';
import type { BlockCompressor } from './compressor.ts';
import { MetadataWriter, positionOf } from './metadata.ts';

/** The extended attributes of a squashfs; each distinct set is stored once. */
export interface AttributeTable {
  /** The set of each inode with attributes. */
  readonly of: ReadonlyMap<Inode, number>;
  readonly count: number;
  /** Names and values. */
  readonly pairs: Buffer;
  /** Locations of the sets in `pairs`. */
  readonly sets: { readonly bytes: Buffer; readonly starts: readonly number[] };
}

const setRecord = packer('<QII');
const nameHead = packer('<HH');
const valueHead = packer('<I');
const PREFIXES = ['user.', 'trusted.', 'security.'];

/** XATTR_NAME_MAX, XATTR_SIZE_MAX */
const MAX_NAME_LENGTH = 255;
const MAX_VALUE_LENGTH = 65_536;

/**
 * Collects the extended attributes of all inodes.
 * @throws UNSUPPORTED for attributes that exceed the limits of Linux
 */
export function attributeTable(
  { inodes }: FileSystem,
  compressor: BlockCompressor,
): AttributeTable {
  const of = new Map<Inode, number>();
  const known = new Map<string, number>();
  const pairs = new MetadataWriter(compressor);
  const sets = new MetadataWriter(compressor);
  for (const inode of inodes) {
    const kept = [...(inode.xattrs ?? [])].filter(([name]) =>
      PREFIXES.some((prefix) => name.startsWith(prefix)),
    );
    if (kept.length === 0) continue;
    for (const [name, { length }] of kept)
      if (name.length > MAX_NAME_LENGTH || length > MAX_VALUE_LENGTH)
        throw new LktError(
          'UNSUPPORTED',
          `${nameOf(inode)} has an extended attribute with a name of ${name.length} bytes and a value of ${length}; Linux allows at most ${MAX_NAME_LENGTH} and ${MAX_VALUE_LENGTH}`,
        );
    const bytes = Buffer.concat(kept.toSorted(([a], [b]) => compareBytes(a, b)).map(pair));
    const key = bytes.toString('latin1');
    let index = known.get(key);
    if (index === undefined) {
      index = known.size;
      known.set(key, index);
      sets.write(setRecord(positionOf(pairs.location), kept.length, bytes.length));
      pairs.write(bytes);
    }
    of.set(inode, index);
  }
  return { of, count: known.size, pairs: pairs.end().bytes, sets: sets.end() };
}

function pair([name, value]: readonly [string, Uint8Array]): Buffer {
  const type = PREFIXES.findIndex((prefix) => name.startsWith(prefix));
  const rest = Buffer.from(name.slice(PREFIXES[type]?.length ?? 0), 'latin1');
  return Buffer.concat([nameHead(type, rest.length), rest, valueHead(value.length), value]);
}
