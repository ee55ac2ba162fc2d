import { LktError } from '@lkt/core';
import { ByteReader, UnexpectedEnd } from './byte-reader.ts';
import { type EntryType, type EntryWithContent, fromRaw, type RawPath } from './entry.ts';
import { type PaxRecords, parsePax } from './pax.ts';
import {
  BLOCK,
  checksums,
  type Field,
  field,
  GNU_MAGIC,
  headerKeys,
  MAX_META,
  padding,
  typeflags,
  USTAR_MAGIC,
  XATTR_KEY,
} from './tar-header.ts';

/** What a reader puts up with from an archive. */
export interface TarLimits {
  /** Header blocks of every kind; default 1,000,000. */
  readonly maxEntries?: number;
  /** Length of the archive; default 64 GiB. */
  readonly maxBytes?: number;
  /** Files without a name are entries with the path ''; else they are errors, as in layers. */
  readonly unnamed?: boolean;
}

/** `content` may be read until the next entry is asked for; what is not read is skipped. */
export type TarEntry = EntryWithContent;

/** Linux has no longer one (PATH_MAX). */
const MAX_PATH = 4096;
const MAX_ID = 0xffff_ffff;
/** The kernel's own: 12 and 20 bits; ustar holds 21. */
const MAX_DEVICE = 0o7777777;

/**
 * The entries of a tar archive: ustar, GNU (long names, base-256 numbers) and PAX (global and local headers), names
 * and extended attributes byte for byte.
 *
 * Paths are normalised: `./a//b/` and `/a/b` are `a/b`. The source is read to its end, past the end of the archive, so
 * that a check of the whole source takes place. An archive may lack its end blocks, as many do.
 * @throws LktError ARCHIVE_INVALID for a broken archive, a path with `..`, or a passed limit; UNSUPPORTED for sparse
 * files and types of entry that only one tar program knows.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  const headers = new Headers(reader, limits);
  try {
    for (;;) {
      const entry = await headers.next();
      if (entry === undefined) break;
      if (entry.size === 0) {
        yield entry;
        continue;
      }
      const content = new Content(reader, headers, entry.size);
      yield { ...entry, content };
      await content.finish();
    }
    await reader.drain();
    headers.checkLength();
  } catch (error) {
    throw error instanceof UnexpectedEnd ? headers.error('is cut off') : error;
  } finally {
    await reader.close();
  }
}

class Content implements AsyncIterable<Uint8Array> {
  readonly #reader: ByteReader;
  readonly #headers: Headers;
  readonly #padding: number;
  #missing: number;
  #state: 'unread' | 'reading' | 'finished' = 'unread';

  constructor(reader: ByteReader, headers: Headers, size: number) {
    this.#reader = reader;
    this.#headers = headers;
    this.#missing = size;
    this.#padding = padding(size);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#state !== 'unread')
      throw new Error('the content of a tar entry can be read once, before the next entry');
    this.#state = 'reading';
    while (this.#missing > 0) {
      const part = await this.#reader.take(this.#missing);
      if (part === undefined) throw this.#headers.error('is cut off');
      this.#headers.checkLength();
      this.#missing -= part.length;
      yield part;
    }
  }

  async finish(): Promise<void> {
    this.#state = 'finished';
    const missing = this.#missing + this.#padding;
    this.#missing = 0;
    await this.#reader.skip(missing);
    this.#headers.checkLength();
  }
}

/** Reads the blocks that make up one entry: extended headers, long names, then the header itself. */
class Headers {
  readonly #reader: ByteReader;
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #unnamed: boolean;
  readonly #global: PaxRecords = new Map();
  #count = 0;
  #last: RawPath | undefined;

  constructor(
    reader: ByteReader,
    { maxEntries = 1_000_000, maxBytes = 64 * 2 ** 30, unnamed = false }: TarLimits,
  ) {
    this.#reader = reader;
    this.#maxEntries = maxEntries;
    this.#unnamed = unnamed;
    this.#maxBytes = maxBytes;
  }

  /** The next entry, or undefined at the end of the archive. */
  async next(): Promise<TarEntry | undefined> {
    let local: PaxRecords = new Map();
    let longName: string | undefined;
    let longLink: string | undefined;
    let isMidEntry = false;
    for (;;) {
      const block = await this.#block();
      if (block === undefined) {
        if (isMidEntry) throw this.error('ends after a header that belongs to an entry');
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

  error(what: string): LktError {
    return new LktError('ARCHIVE_INVALID', `the tar archive ${what}${this.#place()}`);
  }

  #place(): string {
    if (this.#last === undefined) return ' (at its start)';
    return ` (at or after ${JSON.stringify(fromRaw(this.#last))})`;
  }

  checkLength(): void {
    if (this.#reader.total > this.#maxBytes)
      throw this.error(`is longer than ${this.#maxBytes} bytes`);
  }

  /** A header block whose checksum is right; undefined at the end mark and at the end of the source. */
  async #block(): Promise<Buffer | undefined> {
    const block = await this.#reader.read(BLOCK);
    if (block === undefined) return undefined;
    this.checkLength();
    if (isZero(block)) {
      const second = await this.#reader.read(BLOCK);
      if (second !== undefined && !isZero(second)) throw this.error('goes on after a zero block');
      return undefined;
    }
    this.#count += 1;
    if (this.#count > this.#maxEntries)
      throw this.error(`has more than ${this.#maxEntries} entries`);
    const sum = this.#number(block, field.checksum, 'checksum');
    const { unsigned, signed } = checksums(block);
    if (sum !== unsigned && sum !== signed) throw this.error('has a header with a bad checksum');
    return block;
  }

  async #meta(block: Buffer): Promise<Buffer> {
    const size = this.#number(block, field.size, 'size');
    if (size < 0 || size > MAX_META) throw this.error(`has an extended header of ${size} bytes`);
    const data = await this.#reader.read(size);
    if (data === undefined && size > 0) throw new UnexpectedEnd('unexpected end of data');
    await this.#reader.skip(padding(size));
    return data ?? Buffer.alloc(0);
  }

  #pax(data: Buffer): PaxRecords {
    const records = parsePax(data.toString('latin1'));
    if (records === undefined) throw this.error('has a bad PAX header');
    for (const key of records.keys()) {
      if (key.startsWith('GNU.sparse.')) throw this.#unsupported('sparse files');
    }
    return records;
  }

  #mergeGlobal(records: PaxRecords): void {
    let length = 0;
    for (const [key, value] of records) {
      if (key === 'path' || key === 'linkpath' || key === 'size')
        throw this.error(`gives every entry the same ${key}`);
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
  ): TarEntry {
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
      // Programs differ in whether they put a size on a link or directory; none puts content there.
      size:
        type === 'file'
          ? this.#whole(record('size'), block, field.size, 'size', Number.MAX_SAFE_INTEGER)
          : 0,
    };
    if (path === '' && type !== 'directory' && !(this.#unnamed && type === 'file'))
      throw this.error(`has a ${type} without a name`);
    return {
      ...entry,
      ...this.#link(type, record('linkpath') ?? longLink ?? text(block, field.linkname)),
      ...this.#device(type, block),
      ...extended(this.#global, local),
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
      `${what} in a tar archive are not supported${this.#place()}`,
    );
  }

  #path(name: string): RawPath {
    const path = normalPath(name);
    if (path === undefined) throw this.error(`has the bad path ${JSON.stringify(shown(name))}`);
    return path;
  }

  #link(type: EntryType, link: string): { link?: RawPath } {
    if (type === 'hardlink') {
      const target = this.#path(link);
      if (target === '') throw this.error('has a hard link to nothing');
      return { link: target };
    }
    if (type !== 'symlink') return {};
    if (link === '' || link.includes('\0') || link.length > MAX_PATH)
      throw this.error('has a symbolic link with a bad target');
    return { link };
  }

  #device(type: EntryType, block: Buffer): { devMajor?: number; devMinor?: number } {
    if (type !== 'char' && type !== 'block') return {};
    return {
      devMajor: this.#whole(undefined, block, field.devMajor, 'device number', MAX_DEVICE),
      devMinor: this.#whole(undefined, block, field.devMinor, 'device number', MAX_DEVICE),
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
    if (value < 0 || value > limit) throw this.error(`has a bad ${what}`);
    return value;
  }

  #time(record: string | undefined, block: Buffer): number {
    if (record === undefined) return this.#number(block, field.mtime, 'mtime');
    const seconds = /^-?\d{1,19}(?:\.\d*)?$/.test(record) ? Math.floor(Number(record)) : NaN;
    if (!Number.isSafeInteger(seconds)) throw this.error('has a bad mtime');
    return seconds;
  }

  /** Octal, or GNU's base-256: a two's complement number whose first bit only says so. */
  #number(block: Buffer, { start, length }: Field, what: string): number {
    const first = block[start] ?? 0;
    let value = 0;
    if ((first & 0x80) === 0) {
      const digits = block
        .toString('latin1', start, start + length)
        .replaceAll(/^[ \0]+|[ \0]+$/g, '');
      const number = untilNul(digits);
      value = number === '' ? 0 : /^[0-7]+$/.test(number) ? Number.parseInt(number, 8) : NaN;
    } else {
      value = (first & 0x40) === 0 ? first & 0x3f : (first & 0x3f) - 0x40;
      for (let index = start + 1; index < start + length; index += 1)
        value = value * 256 + (block[index] ?? 0);
    }
    if (!Number.isSafeInteger(value)) throw this.error(`has a bad ${what}`);
    return value === 0 ? 0 : value;
  }
}

/**
 * A path without `.`, empty parts and slashes at its ends, so absolute ones are taken from the root of the archive.
 * Undefined when it has a part `..`, a NUL, or is too long.
 */
export function normalPath(name: string): RawPath | undefined {
  if (name.length > MAX_PATH || name.includes('\0')) return undefined;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts.join('/');
}

function headerName(block: Buffer): string {
  const name = text(block, field.name);
  const isGnu = block.toString('latin1', field.magic.start, field.magic.start + 8) === GNU_MAGIC;
  // Go before 1.8 wrote a prefix where GNU has two times.
  if (isGnu && isNumber(block, GNU_ATIME) && isNumber(block, GNU_CTIME)) return name;
  const magic = block.toString('latin1', field.magic.start, field.magic.start + 6);
  if (!isGnu && magic !== USTAR_MAGIC.slice(0, 6)) return name;
  // Schily's star keeps times after a shorter prefix, and marks the block.
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = text(block, { start: field.prefix.start, length: isStar ? 131 : 155 });
  return prefix === '' ? name : `${prefix}/${name}`;
}

const GNU_ATIME: Field = { start: 345, length: 12 };
const GNU_CTIME: Field = { start: 357, length: 12 };

function isNumber(block: Buffer, where: Field): boolean {
  return ((block[where.start] ?? 0) & 0x80) !== 0 || /^ *[0-7]* *$/.test(text(block, where));
}

function extended(
  global: PaxRecords,
  local: PaxRecords,
): { xattrs?: Map<string, Uint8Array>; pax?: Map<string, string> } {
  if (global.size === 0 && local.size === 0) return {};
  const xattrs = new Map<string, Uint8Array>();
  const pax = new Map<string, string>();
  for (const [key, value] of [...global, ...local]) {
    if (key.startsWith(XATTR_KEY))
      xattrs.set(key.slice(XATTR_KEY.length), Buffer.from(value, 'latin1'));
    else if (!headerKeys.has(key) && !/^(?:SCHILY|LIBARCHIVE|RHT|SUN|GNU)\./.test(key))
      pax.set(key, value);
  }
  return { ...(xattrs.size > 0 ? { xattrs } : {}), ...(pax.size > 0 ? { pax } : {}) };
}

function text(block: Buffer, { start, length }: Field): string {
  return untilNul(block.toString('latin1', start, start + length));
}

function untilNul(value: string): string {
  const end = value.indexOf('\0');
  return end === -1 ? value : value.slice(0, end);
}

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZERO);
}

const ZERO = Buffer.alloc(BLOCK);

function shown(name: string): string {
  const display = fromRaw(name);
  return display.length > 100 ? `${display.slice(0, 100)}…` : display;
}
