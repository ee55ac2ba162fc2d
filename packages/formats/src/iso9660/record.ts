import type { RawPath } from '@lkt/oci';
import { type Inode, statMode } from '../file-system/file-system.ts';

export const SECTOR = 2048;

/** Where something is in an ISO image. */
export interface Extent {
  /** In sectors. */
  readonly start: number;
  /** In bytes. */
  readonly size: number;
}

/** A child of a directory: as ISO 9660 without extensions calls it, and as Rock Ridge does. */
export interface IsoChild {
  readonly identifier: string;
  readonly name: RawPath;
  readonly inode: Inode;
}

const MAX_RECORD_SIZE = 254;
/** Bytes of an extent: 32 bits, in whole sectors. */
const MAX_EXTENT_SIZE = 2 ** 32 - SECTOR;
const DIRECTORY = 2;
/** More extents of the same file follow. */
const MORE = 0x80;

/**
 * The records of a directory (ECMA-119 §9.1) with Rock Ridge (IEEE P1282), in whole sectors. How many these are does
 * not depend on where anything is.
 */
export function directoryBytes(
  self: Inode,
  children: readonly IsoChild[],
  placeOf: (inode: Inode) => Extent,
  continuation: ContinuationArea,
): Buffer {
  const records: Buffer[] = [];
  let end = 0;
  const add = (head: RecordHead, system: readonly Buffer[]): void => {
    const record = recordOf(head, system, continuation);
    const room = SECTOR - (end % SECTOR);
    if (record.length > room) {
      records.push(Buffer.alloc(room));
      end += room;
    }
    records.push(record);
    end += record.length;
  };
  const dot = (inode: Inode, identifier: string, system: readonly Buffer[]): void =>
    add({ identifier, extent: placeOf(inode), flags: DIRECTORY, mtime: inode.mtime }, system);
  const isRoot = self.parent === self;
  const own = attributes(self);
  dot(self, '\0', isRoot ? [SHARING, ...own, EXTENSIONS] : own);
  dot(self.parent, '\x01', attributes(self.parent));
  for (const { identifier, name, inode } of children) {
    const { type, mtime } = inode;
    const system = [...attributes(inode), ...alternateName(name), ...specific(inode)];
    const { start, size } = placeOf(inode);
    for (let done = 0, isLast = false; !isLast;) {
      const part = Math.min(size - done, MAX_EXTENT_SIZE);
      isLast = done + part === size;
      const flags = (type === 'directory' ? DIRECTORY : 0) | (isLast ? 0 : MORE);
      const extent = { start: start + done / SECTOR, size: part };
      add({ identifier, extent, flags, mtime }, system);
      done += part;
    }
  }
  records.push(Buffer.alloc(toSector(end) - end));
  return Buffer.concat(records);
}

/** What of the records has no room in them (SUSP 5.1, `CE`). */
export class ContinuationArea {
  readonly #start: number;
  readonly #chunks: Buffer[] = [];
  #end = 0;

  /** @param start its first sector */
  constructor(start: number) {
    this.#start = start;
  }

  /**
   * What one sector does not hold continues in a later one, where libarchive still finds it.
   * @returns the entry that leads to these
   */
  add(entries: readonly Buffer[]): Buffer {
    const count = fitting(entries, SECTOR);
    const own = entries.slice(0, count);
    const others = entries.slice(count);
    const room = SECTOR - (this.#end % SECTOR);
    const length = lengthOf(own) + (others.length === 0 ? 0 : LINK);
    if (length > room || others.length > 0) this.#put(Buffer.alloc(room % SECTOR));
    const entry = systemEntry('CE', LINK - 4);
    both32(entry, this.#start + Math.floor(this.#end / SECTOR), 4);
    both32(entry, this.#end % SECTOR, 12);
    both32(entry, length, 20);
    if (others.length === 0) {
      this.#put(...own);
    } else {
      const link = Buffer.alloc(LINK);
      this.#put(...own, link, Buffer.alloc(SECTOR - length));
      this.add(others).copy(link);
    }
    return entry;
  }

  #put(...chunks: readonly Buffer[]): void {
    this.#chunks.push(...chunks);
    this.#end += lengthOf(chunks);
  }

  /** In whole sectors. */
  get size(): number {
    return toSector(this.#end);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks, this.size);
  }
}

export function toSector(size: number): number {
  return Math.ceil(size / SECTOR) * SECTOR;
}

interface RecordHead {
  readonly identifier: string;
  readonly extent: Extent;
  readonly flags: number;
  readonly mtime: number;
}

function recordOf(
  { identifier, extent, flags, mtime }: RecordHead,
  system: readonly Buffer[],
  continuation: ContinuationArea,
): Buffer {
  const { length } = identifier;
  const head = 33 + length + ((length + 1) % 2);
  const count = fitting(system, MAX_RECORD_SIZE - head);
  const inline = system.slice(0, count);
  if (count < system.length) inline.push(continuation.add(system.slice(count)));
  const used = head + lengthOf(inline);
  const record = Buffer.alloc(used + (used % 2));
  record.writeUInt8(record.length, 0);
  both32(record, extent.start, 2);
  both32(record, extent.size, 10);
  shortDate(mtime).copy(record, 18);
  record.writeUInt8(flags, 25);
  both16(record, 1, 28);
  record.writeUInt8(length, 32);
  record.write(identifier, 33, 'latin1');
  Buffer.concat(inline).copy(record, head);
  return record;
}

function lengthOf(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0);
}

/** Bytes of an entry that leads to more. */
const LINK = 28;

/** How many entries have room, with one that leads to the others if there are any. */
function fitting(entries: readonly Buffer[], room: number): number {
  let used = 0;
  let withOthers = 0;
  for (const [index, { length }] of entries.entries()) {
    if (used + LINK <= room) withOthers = index;
    used += length;
    if (used > room) return withOthers;
  }
  return entries.length;
}

function systemEntry(signature: string, dataLength: number): Buffer {
  const entry = Buffer.alloc(4 + dataLength);
  entry.write(signature, 'latin1');
  entry.writeUInt8(entry.length, 2);
  entry.writeUInt8(1, 3);
  return entry;
}

/** SUSP is used from the first byte. */
const SHARING = ((): Buffer => {
  const entry = systemEntry('SP', 3);
  entry.writeUInt16BE(0xbeef, 4);
  return entry;
})();

/** Which extensions these are. */
const EXTENSIONS = ((): Buffer => {
  const id = 'IEEE_1282';
  const text = 'THE IEEE 1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS';
  const source = 'PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA';
  const entry = systemEntry('ER', 4 + id.length + text.length + source.length);
  entry.writeUInt8(id.length, 4);
  entry.writeUInt8(text.length, 5);
  entry.writeUInt8(source.length, 6);
  entry.writeUInt8(1, 7);
  entry.write(id + text + source, 8, 'latin1');
  return entry;
})();

/** Mode, owner and times. */
function attributes(inode: Inode): Buffer[] {
  const posix = systemEntry('PX', 40);
  both32(posix, statMode(inode), 4);
  both32(posix, inode.links, 12);
  both32(posix, inode.uid, 20);
  both32(posix, inode.gid, 28);
  both32(posix, inode.number, 36);
  const times = systemEntry('TF', 22);
  times.writeUInt8(MODIFIED | ACCESSED | CHANGED, 4);
  for (const at of [5, 12, 19]) shortDate(inode.mtime).copy(times, at);
  return [posix, times];
}

const MODIFIED = 2;
const ACCESSED = 4;
const CHANGED = 8;

const CONTINUES = 1;
/** What an entry has room for beside its head of five bytes. */
const MAX_TEXT_LENGTH = 250;

function alternateName(name: RawPath): Buffer[] {
  const entries: Buffer[] = [];
  for (let done = 0; done < name.length; done += MAX_TEXT_LENGTH) {
    const part = name.slice(done, done + MAX_TEXT_LENGTH);
    const entry = systemEntry('NM', 1 + part.length);
    entry.writeUInt8(done + part.length < name.length ? CONTINUES : 0, 4);
    entry.write(part, 5, 'latin1');
    entries.push(entry);
  }
  return entries;
}

/** The target of a link, the number of a device. */
function specific({ type, link = '', devMajor = 0, devMinor = 0 }: Inode): Buffer[] {
  if (type === 'symlink') return symbolicLink(link);
  if (type !== 'char' && type !== 'block') return [];
  const entry = systemEntry('PN', 16);
  // All in the low word is what all readers know; the kernel, fs/isofs/rock.c, knows large numbers too.
  const isSmall = devMinor < 256;
  both32(entry, isSmall ? 0 : devMajor, 4);
  both32(entry, isSmall ? devMajor * 256 + devMinor : devMinor, 12);
  return [entry];
}

/** In entries that end inside of a component where that can be: libarchive loses the slash after one that is whole. */
function symbolicLink(target: RawPath): Buffer[] {
  const entries: { components: Buffer[]; size: number }[] = [];
  const roomFor = (length: number): number => {
    const size = entries.at(-1)?.size ?? MAX_TEXT_LENGTH;
    if (MAX_TEXT_LENGTH - size >= COMPONENT_HEAD + length) return MAX_TEXT_LENGTH - size;
    entries.push({ components: [], size: 0 });
    return MAX_TEXT_LENGTH;
  };
  const add = (flags: number, text: string): void => {
    const entry = entries.at(-1);
    entry?.components.push(Buffer.of(flags, text.length), Buffer.from(text, 'latin1'));
    if (entry !== undefined) entry.size += COMPONENT_HEAD + text.length;
  };
  const rest = target.replace(/^\//, '');
  const parts = [...(rest === target ? [] : ['/']), ...(rest === '' ? [] : rest.split('/'))];
  for (const [index, part] of parts.entries()) {
    const special = COMPONENT[part];
    if (special !== undefined) {
      roomFor(1);
      add(special, '');
      continue;
    }
    for (let done = 0, isWhole = false; !isWhole;) {
      const room = roomFor(1) - COMPONENT_HEAD;
      let length = Math.min(room, part.length - done);
      const isFull = index < parts.length - 1 && room - length <= COMPONENT_HEAD;
      const isSplit = isFull && done + length === part.length && length > 1;
      if (isSplit) length -= 1;
      isWhole = done + length === part.length;
      add(isWhole ? 0 : CONTINUES, part.slice(done, done + length));
      if (isSplit) entries.push({ components: [], size: 0 });
      done += length;
    }
  }
  return entries.map(({ components, size }, index) => {
    const entry = systemEntry('SL', 1 + size);
    entry.writeUInt8(index < entries.length - 1 ? CONTINUES : 0, 4);
    Buffer.concat(components).copy(entry, 5);
    return entry;
  });
}

const COMPONENT_HEAD = 2;
/** Flags of components that are no text. */
const COMPONENT: Readonly<Record<string, number>> = { '.': 2, '..': 4, '/': 8 };

/** Years since 1900 are one byte. */
function shortDate(mtime: number): Buffer {
  const date = new Date(Math.min(Math.max(mtime, FIRST_DATE), LAST_DATE) * 1000);
  return Buffer.of(
    date.getUTCFullYear() - 1900,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  );
}

const FIRST_DATE = Date.UTC(1900, 0, 1) / 1000;
const LAST_DATE = Date.UTC(2155, 11, 31) / 1000;

/** Both byte orders, one after the other. */
export function both32(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value, at);
  buffer.writeUInt32BE(value, at + 4);
}

export function both16(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt16LE(value, at);
  buffer.writeUInt16BE(value, at + 2);
}
