import { LktError } from '@lkt/core';
import { rechunk } from '../io/rechunk.ts';
import { type EntryToWrite, fromRaw, type RawPath } from './entry.ts';
import {
  BLOCK,
  checksums,
  type Field,
  field,
  headerKeys,
  MAX_META,
  padding,
  typeflags,
  USTAR_MAGIC,
  XATTR_KEY,
} from './tar-header.ts';

const CHUNK = 64 * 1024;
const ZEROS = Buffer.alloc(2 * BLOCK);

/**
 * Yields a tar archive of entries in the given order, unmodified: the caller sorts and clamps.
 *
 * An entry has one encoding: ustar without owner names, preceded by a PAX header where ustar does
 * not suffice. The bytes equal those of Go's archive/tar, so layers have the same digests as from
 * BuildKit.
 * @throws IO_FAILED if a content does not have the length of its entry; UNSUPPORTED if the
 * attributes of an entry exceed 1 MiB
 * @example
 * ```ts
 * await writeFile('files.tar', writeTar([plainFile('etc/motd', 'hello\n')]));
 * ```
 */
export function writeTar(
  entries: AsyncIterable<EntryToWrite> | Iterable<EntryToWrite>,
): AsyncGenerator<Uint8Array> {
  // Small files cause no small writes.
  return rechunk(pieces(entries), CHUNK);
}

async function* pieces(
  entries: AsyncIterable<EntryToWrite> | Iterable<EntryToWrite>,
): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    yield header(entry);
    if (entry.type !== 'file' || entry.size === 0) continue;
    let missing = entry.size;
    for await (const part of entry.content ?? []) {
      missing -= part.length;
      if (missing < 0) break;
      yield part;
    }
    if (missing !== 0) {
      const relation = missing < 0 ? 'longer' : 'shorter';
      throw new LktError(
        'IO_FAILED',
        `${fromRaw(entry.path)}: its content is ${relation} than the expected ${entry.size} bytes`,
        { fix: 'do not change files while lkt reads them' },
      );
    }
    yield ZEROS.subarray(0, padding(entry.size));
  }
  yield ZEROS;
}

function header(entry: EntryToWrite): Buffer {
  check(entry);
  const isDirectory = entry.type === 'directory';
  const name = isDirectory ? `${entry.path === '' ? '.' : entry.path}/` : entry.path;
  const link = entry.type === 'symlink' || entry.type === 'hardlink' ? (entry.link ?? '') : '';
  const size = entry.type === 'file' ? entry.size : 0;
  const isDevice = entry.type === 'char' || entry.type === 'block';
  const split = isAscii(name) ? splitName(name) : undefined;

  const records = new Map<string, string>();
  const number = (key: string, where: Field, value: number): void => {
    if (!fitsOctal(where, value)) records.set(key, String(value));
  };
  if (split === undefined) records.set('path', name);
  if (!isAscii(link) || link.length > field.linkname.length) records.set('linkpath', link);
  number('uid', field.uid, entry.uid);
  number('gid', field.gid, entry.gid);
  number('size', field.size, size);
  number('mtime', field.mtime, entry.mtime);
  for (const [key, value] of entry.xattrs ?? [])
    records.set(XATTR_KEY + key, Buffer.from(value).toString('latin1'));
  for (const [key, value] of entry.pax ?? [])
    if (!headerKeys.has(key) && !records.has(key)) records.set(key, value);

  // With a PAX header, a name that ustar could split gets a record too, as in Go.
  const isPax = records.size > 0;
  if (isPax && name.length > field.name.length) records.set('path', name);
  const { prefix, suffix } = isPax || split === undefined ? { prefix: '', suffix: name } : split;

  const block = Buffer.alloc(BLOCK);
  putText(block, field.name, toAscii(suffix));
  putText(block, field.prefix, prefix);
  putText(block, field.linkname, toAscii(link));
  putOctal(block, field.mode, entry.mode);
  putOctal(block, field.uid, entry.uid);
  putOctal(block, field.gid, entry.gid);
  putOctal(block, field.size, size);
  putOctal(block, field.mtime, entry.mtime);
  putOctal(block, field.devMajor, isDevice ? (entry.devMajor ?? 0) : 0);
  putOctal(block, field.devMinor, isDevice ? (entry.devMinor ?? 0) : 0);
  seal(block, typeflags[entry.type]);
  return isPax ? Buffer.concat([paxHeader(name, records), block]) : block;
}

/** Throws for entries that only a bug in the caller can produce. */
function check(entry: EntryToWrite): void {
  const { path, type, mode, uid, gid, size, mtime, link, devMajor = 0, devMinor = 0 } = entry;
  const fail = (what: string): never => {
    throw new Error(`tar entry ${JSON.stringify(path)}: ${what}`);
  };
  if (path === '' && type !== 'directory') fail('only a directory can be the root');
  if (path.includes('\0') || link?.includes('\0') === true) fail('NUL in a name');
  if ((type === 'symlink' || type === 'hardlink') && (link ?? '') === '') fail('no link target');
  if (mode < 0 || mode > 0o7777) fail(`mode ${mode}`);
  for (const number of [mode, uid, gid, size, devMajor, devMinor])
    if (!Number.isSafeInteger(number) || number < 0) fail(`bad number ${number}`);
  if (!Number.isSafeInteger(mtime)) fail(`bad mtime ${mtime}`);
  if (!fitsOctal(field.devMajor, devMajor) || !fitsOctal(field.devMinor, devMinor))
    fail('bad device number');
}

/** Splits a name into ustar's two fields where Go does; undefined if it does not fit. */
function splitName(name: RawPath): { prefix: string; suffix: string } | undefined {
  if (name.length <= field.name.length) return { prefix: '', suffix: name };
  const end = Math.min(name.endsWith('/') ? name.length - 1 : name.length, field.prefix.length + 1);
  const slash = name.lastIndexOf('/', end - 1);
  const suffix = name.slice(slash + 1);
  if (slash <= 0 || suffix === '' || suffix.length > field.name.length) return undefined;
  return { prefix: name.slice(0, slash), suffix };
}

/**
 * Returns the extended header of an entry: its own block, then sorted records. Sets the same fields
 * as Go.
 */
function paxHeader(name: RawPath, records: ReadonlyMap<string, string>): Buffer {
  const data = Buffer.from(
    [...records]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => paxRecord(key, value))
      .join(''),
    'latin1',
  );
  if (data.length > MAX_META) {
    throw new LktError(
      'UNSUPPORTED',
      `${fromRaw(name)}: its extended attributes and names have ${data.length} bytes, more than ${MAX_META}`,
    );
  }
  const slash = name.lastIndexOf('/');
  const directory = name.slice(0, slash + 1);
  const base = name.slice(slash + 1);
  const paxName = toAscii(
    `${directory === './' ? '' : directory}PaxHeaders.0${base === '' ? '' : `/${base}`}`,
  )
    .slice(0, field.name.length)
    .replace(/\/+$/, '');
  const block = Buffer.alloc(BLOCK);
  putText(block, field.name, paxName);
  for (const where of [field.mode, field.uid, field.gid, field.mtime]) putOctal(block, where, 0);
  putOctal(block, field.size, data.length);
  seal(block, 'x');
  return Buffer.concat([block, data, Buffer.alloc(padding(data.length))]);
}

/** Returns `<length> <key>=<value>\n`, in which the length includes its own digits. */
function paxRecord(key: string, value: string): string {
  if (key === '' || /[=\0]/.test(key)) throw new Error(`bad PAX key ${JSON.stringify(key)}`);
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + String(rest.length).length;
  if (String(length).length + rest.length !== length) length += 1;
  return `${length}${rest}`;
}

function seal(block: Buffer, typeflag: string): void {
  block.write(typeflag, field.typeflag.start, 'latin1');
  block.write(USTAR_MAGIC, field.magic.start, 'latin1');
  const sum = checksums(block).unsigned.toString(8).padStart(6, '0');
  block.write(`${sum}\0 `, field.checksum.start, 'latin1');
}

function putOctal(block: Buffer, { start, length }: Field, value: number): void {
  const fitting = fitsOctal({ start, length }, value) ? value : 0;
  block.write(fitting.toString(8).padStart(length - 1, '0'), start, 'latin1');
}

function putText(block: Buffer, { start, length }: Field, text: string): void {
  block.write(text.slice(0, length), start, 'latin1');
  // Readers without PAX would take a file name truncated at a slash for a directory; Go writes a
  // NUL there.
  if (text.length > length && text[length - 1] === '/')
    block[start + text.slice(0, length - 1).replace(/\/+$/, '').length] = 0;
}

function fitsOctal({ length }: Field, value: number): boolean {
  return value >= 0 && value < 8 ** (length - 1);
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return !/[^\x01-\x7f]/.test(text);
}

function toAscii(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[^\x01-\x7f]/g, '');
}
