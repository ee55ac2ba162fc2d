import { LktError } from '@lkt/core';
import type { ByteReader } from '../io/byte-reader.ts';
import { type Entry, type EntryType, fromRaw, type RawPath } from './entry.ts';
import { paxAttributes, type PaxRecords, parsePax } from './pax.ts';
import {
  fieldNumber,
  fieldText,
  hasValidChecksum,
  headerName,
  isZeroBlock,
  untilNul,
} from './tar-fields.ts';
import { BLOCK, type Field, field, MAX_META, padding, typeflags } from './tar-header.ts';
import { MAX_PATH, normalizePath } from './tar-path.ts';

/** Limits on the archives a reader accepts. */
export interface TarLimits {
  /** Maximum number of header blocks of every kind; default 1,000,000. */
  readonly maxEntries?: number;
  /** Maximum length of the archive in bytes; default 64 GiB. */
  readonly maxBytes?: number;
  /** Accept files without a name, as entries with the path `''`. In layers they are errors. */
  readonly allowUnnamed?: boolean;
}

/** chown(2) takes the number above it for "do not change", and a file would belong to root. */
const MAX_ID = 0xffff_fffe;
/** The kernel's limits: it would make another device of a larger number. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;

/** Reads the blocks of one entry: extended headers, long names, then the header. */
export class TarHeaderReader {
  readonly #reader: ByteReader;
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #unnamed: boolean;
  readonly #global: PaxRecords = new Map();
  #count = 0;
  #last: RawPath | undefined;

  constructor(
    reader: ByteReader,
    { maxEntries = 1_000_000, maxBytes = 64 * 2 ** 30, allowUnnamed = false }: TarLimits,
  ) {
    this.#reader = reader;
    this.#maxEntries = maxEntries;
    this.#unnamed = allowUnnamed;
    this.#maxBytes = maxBytes;
  }

  /** Returns the next entry, or undefined at the end of the archive. */
  async next(): Promise<Entry | undefined> {
    let local: PaxRecords = new Map();
    let longName: string | undefined;
    let longLink: string | undefined;
    let isMidEntry = false;
    for (;;) {
      const block = await this.#block();
      if (block === undefined) {
        if (isMidEntry) throw this.error('ends after an extended header');
        return undefined;
      }
      const typeflag = String.fromCharCode(block[field.typeflag.start] ?? 0);
      switch (typeflag) {
        case 'x':
          local = this.#pax(await this.#meta(block));
          break;
        case 'g':
          this.#mergeGlobal(this.#pax(await this.#meta(block)));
          continue;
        case 'L':
          longName = untilNul((await this.#meta(block)).toString('latin1'));
          break;
        case 'K':
          longLink = untilNul((await this.#meta(block)).toString('latin1'));
          break;
        default:
          return this.#entry(block, typeflag, local, longName, longLink);
      }
      isMidEntry = true;
    }
  }

  /** Returns an error about the current position in the archive. */
  error(what: string): LktError {
    return new LktError('ARCHIVE_INVALID', `the tar archive ${what}${this.#position()}`);
  }

  #position(): string {
    if (this.#last === undefined) return ' (at its start)';
    return ` (at or after ${JSON.stringify(fromRaw(this.#last))})`;
  }

  /**
   * Checks the length read so far against the limit.
   * @throws ARCHIVE_INVALID
   */
  checkLength(): void {
    if (this.#reader.total > this.#maxBytes)
      throw this.error(`is longer than ${this.#maxBytes} bytes`);
  }

  /** Returns a header block with a correct checksum; undefined at the end of archive or source. */
  async #block(): Promise<Buffer | undefined> {
    const block = await this.#reader.read(BLOCK);
    if (block === undefined) return undefined;
    this.checkLength();
    if (isZeroBlock(block)) {
      const second = await this.#reader.read(BLOCK);
      if (second !== undefined && !isZeroBlock(second))
        throw this.error('continues after a zero block');
      return undefined;
    }
    this.#count += 1;
    if (this.#count > this.#maxEntries)
      throw this.error(`has more than ${this.#maxEntries} entries`);
    if (!hasValidChecksum(block)) throw this.error('has a header with an invalid checksum');
    return block;
  }

  async #meta(block: Buffer): Promise<Buffer> {
    const size = this.#number(block, field.size, 'size');
    if (size < 0 || size > MAX_META) throw this.error(`has an extended header of ${size} bytes`);
    const data = await this.#reader.readExactly(size);
    await this.#reader.skip(padding(size));
    return data;
  }

  #pax(data: Buffer): PaxRecords {
    const records = parsePax(data.toString('latin1'));
    if (records === undefined) throw this.error('has an invalid PAX header');
    for (const key of records.keys()) {
      if (key.startsWith('GNU.sparse.')) throw this.#unsupported('sparse files');
    }
    return records;
  }

  #mergeGlobal(records: PaxRecords): void {
    let length = 0;
    for (const [key, value] of records) {
      if (key === 'path' || key === 'linkpath' || key === 'size')
        throw this.error(`sets the ${key} of every entry`);
      if (value === '') this.#global.delete(key);
      else this.#global.set(key, value);
    }
    for (const [key, value] of this.#global) length += key.length + value.length;
    if (length > MAX_META) throw this.error(`has more than ${MAX_META} bytes of global headers`);
  }

  #entry(
    block: Buffer,
    typeflag: string,
    local: PaxRecords,
    longName: string | undefined,
    longLink: string | undefined,
  ): Entry {
    const record = (key: string): string | undefined => {
      const value = local.get(key) ?? this.#global.get(key);
      return value === '' ? undefined : value;
    };
    const name = record('path') ?? longName ?? headerName(block);
    const path = this.#path(name);
    this.#last = path;
    const type = this.#type(typeflag, name);
    const entry = {
      path,
      type,
      mode: this.#number(block, field.mode, 'mode') & 0o7777,
      uid: this.#whole(record('uid'), block, field.uid, 'uid', MAX_ID),
      gid: this.#whole(record('gid'), block, field.gid, 'gid', MAX_ID),
      mtime: this.#time(record('mtime'), block),
      // Some programs write a size for links and directories; none writes content.
      size:
        type === 'file'
          ? this.#whole(record('size'), block, field.size, 'size', Number.MAX_SAFE_INTEGER)
          : 0,
    };
    if (path === '' && type !== 'directory' && !(this.#unnamed && type === 'file'))
      throw this.error(`has a ${type} without a name`);
    return {
      ...entry,
      ...this.#link(type, record('linkpath') ?? longLink ?? fieldText(block, field.linkname)),
      ...this.#device(type, block),
      ...paxAttributes(this.#global, local),
    };
  }

  #type(typeflag: string, name: string): EntryType {
    // Before ustar, a directory was a file whose name ends in a slash.
    if (typeflag === '0' || typeflag === '\0' || typeflag === '7')
      return name.endsWith('/') ? 'directory' : 'file';
    for (const [type, flag] of Object.entries(typeflags))
      if (flag === typeflag) return type as EntryType;
    if (typeflag === 'S') throw this.#unsupported('sparse files');
    throw this.#unsupported(`entries of type ${JSON.stringify(typeflag)}`);
  }

  #unsupported(what: string): LktError {
    return new LktError(
      'UNSUPPORTED',
      `${what} in a tar archive are not supported${this.#position()}`,
    );
  }

  #path(name: string): RawPath {
    const path = normalizePath(name);
    if (path === undefined)
      throw this.error(`has the invalid path ${JSON.stringify(truncatePath(name))}`);
    return path;
  }

  #link(type: EntryType, link: string): { link?: RawPath } {
    if (type === 'hardlink') {
      const target = this.#path(link);
      if (target === '') throw this.error('has a hard link without a target');
      return { link: target };
    }
    if (type !== 'symlink') return {};
    if (link === '' || link.includes('\0') || link.length > MAX_PATH)
      throw this.error('has a symbolic link with an invalid target');
    return { link };
  }

  #device(type: EntryType, block: Buffer): { devMajor?: number; devMinor?: number } {
    if (type !== 'char' && type !== 'block') return {};
    return {
      devMajor: this.#whole(undefined, block, field.devMajor, 'device number', MAX_MAJOR),
      devMinor: this.#whole(undefined, block, field.devMinor, 'device number', MAX_MINOR),
    };
  }

  #whole(
    record: string | undefined,
    block: Buffer,
    where: Field,
    what: string,
    limit: number,
  ): number {
    const value =
      record === undefined
        ? this.#number(block, where, what)
        : /^\d{1,19}$/.test(record)
          ? Number(record)
          : -1;
    if (value < 0 || value > limit) throw this.error(`has an invalid ${what}`);
    return value;
  }

  #time(record: string | undefined, block: Buffer): number {
    if (record === undefined) return this.#number(block, field.mtime, 'mtime');
    const seconds = /^-?\d{1,19}(?:\.\d*)?$/.test(record) ? Math.floor(Number(record)) : NaN;
    if (!Number.isSafeInteger(seconds)) throw this.error('has an invalid mtime');
    return seconds;
  }

  #number(block: Buffer, where: Field, what: string): number {
    const value = fieldNumber(block, where);
    if (!Number.isSafeInteger(value)) throw this.error(`has an invalid ${what}`);
    return value;
  }
}

function truncatePath(name: string): string {
  const display = fromRaw(name);
  return display.length > 100 ? `${display.slice(0, 100)}…` : display;
}
