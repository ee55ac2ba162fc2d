import { type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { roundUp } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';
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
  records.push(Buffer.alloc(-end & (SECTOR_SIZE - 1)));
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
    const sector = this.#start + Math.floor(this.#end / SECTOR_SIZE);
    const entry = systemEntry('CE', location(sector, this.#end % SECTOR_SIZE, length));
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
    return roundUp(this.#end, SECTOR_SIZE);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks, this.size);
  }
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
  const size = roundUp(head + lengthOf(inline), 2);
  const name = Buffer.concat([Buffer.from(identifier, 'latin1')], head - 33);
  const fields = recordFields(size, extent.start, extent.size, shortDate(mtime), flags, 1, length);
  return Buffer.concat([fields, name, ...inline], size);
}

/** Returns the record of a root directory without Rock Ridge, for a volume descriptor. */
export function rootRecord(extent: IsoExtent): Buffer {
  const head = { identifier: '\0', extent, flags: DIRECTORY, mtime: SOURCE_DATE_EPOCH };
  return recordOf(head, [], new ContinuationArea(0));
}

const recordFields = packer('<BxDD7sB2xWB');

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

/** Returns a system use entry (SUSP 4.1) of version 1. */
function systemEntry(signature: string, ...data: readonly Buffer[]): Buffer {
  return Buffer.concat([entryHead(signature, 4 + lengthOf(data), 1), ...data]);
}

const entryHead = packer('<2sBB');
/** Sector, offset and length of `CE`. */
const location = packer('<DDD');
const posixAttributes = packer('<DDDDD');
const timestamps = packer('<B7s7s7s');
const extensionHead = packer('<BBBB');
const deviceNumbers = packer('<DD');

/** Declares that SUSP is used from the first byte. */
const SUSP_ENTRY = systemEntry('SP', Buffer.of(0xbe, 0xef, 0));

/** Declares the extension: Rock Ridge. */
const ROCK_RIDGE_ENTRY = ((): Buffer => {
  const id = 'IEEE_1282';
  const text = 'THE IEEE 1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS';
  const source = 'PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA';
  const head = extensionHead(id.length, text.length, source.length, 1);
  return systemEntry('ER', head, Buffer.from(id + text + source, 'latin1'));
})();

/** Returns the entries for mode, owner and times. */
function attributes(inode: Inode): Buffer[] {
  const { links, uid, gid, number } = inode;
  const date = shortDate(inode.mtime);
  return [
    systemEntry('PX', posixAttributes(statMode(inode), links, uid, gid, number)),
    systemEntry('TF', timestamps(MODIFIED | ACCESSED | CHANGED, date, date, date)),
  ];
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
    const flags = done + part.length < name.length ? CONTINUES : 0;
    entries.push(systemEntry('NM', Buffer.of(flags), Buffer.from(part, 'latin1')));
  }
  return entries;
}

/** Returns the entries for a symlink target or device number. */
function specific({ type, link = '', devMajor = 0, devMinor = 0 }: Inode): Buffer[] {
  if (type === 'symlink') return symbolicLink(link);
  if (type !== 'char' && type !== 'block') return [];
  // All readers know small numbers in the low word; the kernel (fs/isofs/rock.c) also knows large
  // ones.
  const numbers =
    devMinor < 256
      ? deviceNumbers(0, devMajor * 256 + devMinor)
      : deviceNumbers(devMajor, devMinor);
  return [systemEntry('PN', numbers)];
}

/**
 * Splits a target inside of a component if possible: libarchive loses the slash after a whole one.
 */
function symbolicLink(target: RawPath): Buffer[] {
  const entries: Buffer[][] = [];
  const roomFor = (length: number): number => {
    const last = entries.at(-1);
    const room = last === undefined ? 0 : MAX_TEXT_LENGTH - lengthOf(last);
    if (room >= COMPONENT_HEAD + length) return room;
    entries.push([]);
    return MAX_TEXT_LENGTH;
  };
  const add = (flags: number, text: string): void => {
    entries.at(-1)?.push(Buffer.of(flags, text.length), Buffer.from(text, 'latin1'));
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
      if (isSplit) entries.push([]);
      done += length;
    }
  }
  return entries.map((components, index) => {
    const flags = index < entries.length - 1 ? CONTINUES : 0;
    return systemEntry('SL', Buffer.of(flags), ...components);
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
