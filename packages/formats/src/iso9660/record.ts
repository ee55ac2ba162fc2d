import type { RawPath } from '@lkt/oci';
import { type Inode, statMode } from '../file-system/file-system.ts';

/** Sector size of an ISO image. */
export const SECTOR_SIZE = 2048;

/** A location in an ISO image. */
export interface IsoExtent {
  /** In sectors. */
  readonly start: number;
  /** In bytes. */
  readonly size: number;
}

/** A child of a directory with its ISO 9660 identifier and its Rock Ridge name. */
export interface IsoChild {
  readonly identifier: string;
  readonly name: RawPath;
  readonly inode: Inode;
}

const MAX_RECORD_SIZE = 254;
/** Maximum bytes of an extent: 32 bits, in whole sectors. */
const MAX_EXTENT_SIZE = 2 ** 32 - SECTOR_SIZE;
const DIRECTORY = 2;
/** Further extents of the file follow. */
const MULTI_EXTENT = 0x80;

/**
 * Returns the records of a directory (ECMA-119 §9.1) with Rock Ridge (IEEE P1282), in whole
 * sectors. Its length does not depend on the locations.
 */
export function directoryBytes(
  self: Inode,
  children: readonly IsoChild[],
  extentOf: (inode: Inode) => IsoExtent,
  continuation: ContinuationArea,
): Buffer {
  const records: Buffer[] = [];
  let end = 0;
  const add = (head: RecordHead, system: readonly Buffer[]): void => {
    const record = recordOf(head, system, continuation);
    const room = SECTOR_SIZE - (end % SECTOR_SIZE);
    if (record.length > room) {
      records.push(Buffer.alloc(room));
      end += room;
    }
    records.push(record);
    end += record.length;
  };
  const dot = (inode: Inode, identifier: string, system: readonly Buffer[]): void =>
    add({ identifier, extent: extentOf(inode), flags: DIRECTORY, mtime: inode.mtime }, system);
  const isRoot = self.parent === self;
  const own = attributes(self);
  dot(self, '\0', isRoot ? [SUSP_ENTRY, ...own, ROCK_RIDGE_ENTRY] : own);
  dot(self.parent, '\x01', attributes(self.parent));
  for (const { identifier, name, inode } of children) {
    const { type, mtime } = inode;
    const system = [...attributes(inode), ...alternateName(name), ...specific(inode)];
    const { start, size } = extentOf(inode);
    for (let done = 0, isLast = false; !isLast;) {
      const part = Math.min(size - done, MAX_EXTENT_SIZE);
      isLast = done + part === size;
      const flags = (type === 'directory' ? DIRECTORY : 0) | (isLast ? 0 : MULTI_EXTENT);
      const extent = { start: start + done / SECTOR_SIZE, size: part };
      add({ identifier, extent, flags, mtime }, system);
      done += part;
    }
  }
  records.push(Buffer.alloc(toSector(end) - end));
  return Buffer.concat(records);
}

/** System use entries that do not fit into their record (SUSP 5.1, `CE`). */
export class ContinuationArea {
  readonly #start: number;
  readonly #chunks: Buffer[] = [];
  #end = 0;

  /** @param start the first sector */
  constructor(start: number) {
    this.#start = start;
  }

  /**
   * Adds entries. If one sector is too small, they continue in a later one, which libarchive
   * supports.
   * @returns the `CE` entry that points to them
   */
  add(entries: readonly Buffer[]): Buffer {
    const count = fitting(entries, SECTOR_SIZE);
    const own = entries.slice(0, count);
    const others = entries.slice(count);
    const room = SECTOR_SIZE - (this.#end % SECTOR_SIZE);
    const length = lengthOf(own) + (others.length === 0 ? 0 : CE_SIZE);
    if (length > room || others.length > 0) this.#put(Buffer.alloc(room % SECTOR_SIZE));
    const entry = systemEntry('CE', CE_SIZE - 4);
    both32(entry, this.#start + Math.floor(this.#end / SECTOR_SIZE), 4);
    both32(entry, this.#end % SECTOR_SIZE, 12);
    both32(entry, length, 20);
    if (others.length === 0) {
      this.#put(...own);
    } else {
      const link = Buffer.alloc(CE_SIZE);
      this.#put(...own, link, Buffer.alloc(SECTOR_SIZE - length));
      this.add(others).copy(link);
    }
    return entry;
  }

  #put(...chunks: readonly Buffer[]): void {
    this.#chunks.push(...chunks);
    this.#end += lengthOf(chunks);
  }

  /** In bytes, a multiple of the sector size. */
  get size(): number {
    return toSector(this.#end);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks, this.size);
  }
}

/** Rounds a size up to whole sectors. */
export function toSector(size: number): number {
  return Math.ceil(size / SECTOR_SIZE) * SECTOR_SIZE;
}

interface RecordHead {
  readonly identifier: string;
  readonly extent: IsoExtent;
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

/** Size of a `CE` entry. */
const CE_SIZE = 28;

/** Returns how many entries fit, with a `CE` entry for the others if there are any. */
function fitting(entries: readonly Buffer[], room: number): number {
  let used = 0;
  let withOthers = 0;
  for (const [index, { length }] of entries.entries()) {
    if (used + CE_SIZE <= room) withOthers = index;
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

/** Declares that SUSP is used from the first byte. */
const SUSP_ENTRY = ((): Buffer => {
  const entry = systemEntry('SP', 3);
  entry.writeUInt16BE(0xbeef, 4);
  return entry;
})();

/** Declares the extension: Rock Ridge. */
const ROCK_RIDGE_ENTRY = ((): Buffer => {
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

/** Returns the entries for mode, owner and times. */
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
/** Room for text in an entry besides its head of five bytes. */
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

/** Returns the entries for a symlink target or device number. */
function specific({ type, link = '', devMajor = 0, devMinor = 0 }: Inode): Buffer[] {
  if (type === 'symlink') return symbolicLink(link);
  if (type !== 'char' && type !== 'block') return [];
  const entry = systemEntry('PN', 16);
  // All readers know small numbers in the low word; the kernel (fs/isofs/rock.c) also knows large
  // ones.
  const isSmall = devMinor < 256;
  both32(entry, isSmall ? 0 : devMajor, 4);
  both32(entry, isSmall ? devMajor * 256 + devMinor : devMinor, 12);
  return [entry];
}

/**
 * Splits a target inside of a component if possible: libarchive loses the slash after a whole one.
 */
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
/** Flags of special components. */
const COMPONENT: Readonly<Record<string, number>> = { '.': 2, '..': 4, '/': 8 };

/** Years since 1900 have one byte. */
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

/** Writes a number in both byte orders, little-endian first. */
export function both32(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value, at);
  buffer.writeUInt32BE(value, at + 4);
}

/** Writes a number in both byte orders, little-endian first. */
export function both16(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt16LE(value, at);
  buffer.writeUInt16BE(value, at + 2);
}
