import { isUtf8 } from 'node:buffer';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type Cause, cause } from './cause.ts';
import { type BuildFacts, classifyText } from './classify-text.ts';
import { DAY_SECONDS } from './dates.ts';
import { classifyFormat, type FormatDifference } from './classify-format.ts';

/** A difference between two contents. */
export interface ContentDifference {
  /** A predicate for the path: `differs at byte 12: "1" and "2"`. */
  readonly text: string;
  readonly cause: Cause;
}

/** Maximum size of a gzip file's content that is compared. */
const MAX_UNPACKED_BYTES = 64 * 2 ** 20;
/** Maximum depth of archives in archives. */
const MAX_DEPTH = 4;

/** Returns the first difference between two contents of the file `path`, and its cause. */
export function classifyContent(
  path: string,
  first: Buffer,
  second: Buffer,
  facts: BuildFacts,
  depth = 0,
): ContentDifference {
  const inner =
    depth >= MAX_DEPTH ? undefined : insideCompressed(path, first, second, facts, depth);
  if (inner !== undefined) return inner;
  const format = depth >= MAX_DEPTH ? undefined : classifyFormat(path, first, second);
  if (format !== undefined) return inFormat(format, facts, depth);
  if (isText(first) && isText(second)) {
    const found = classifyText(first.toString('latin1'), second.toString('latin1'), facts);
    const offset = firstDifference(first, second, 0);
    const text = `differs at byte ${offset}: ${quote(found.first)} and ${quote(found.second)}`;
    return { text, cause: found.cause };
  }
  return classifyBinary(first, second, facts);
}

function inFormat(format: FormatDifference, facts: BuildFacts, depth: number): ContentDifference {
  if (format.kind === 'known') return { text: format.text, cause: format.cause };
  const { member, first, second } = format;
  const found = classifyContent(member, first, second, facts, depth + 1);
  return { ...found, text: `in member ${member}, ${found.text}` };
}

function insideCompressed(
  path: string,
  first: Buffer,
  second: Buffer,
  facts: BuildFacts,
  depth: number,
): ContentDifference | undefined {
  const files = [first, second];
  const isGzip = files.every((data) => data.length > 18 && data.readUInt16BE(0) === 0x1f8b);
  const isZstd = files.every((data) => data.length > 8 && data.readUInt32LE(0) === 0xfd2fb528);
  if (!isGzip && !isZstd) return undefined;
  // RFC 1952: MTIME is at offset 4.
  const [one, other] = isGzip ? [first.readUInt32LE(4), second.readUInt32LE(4)] : [];
  if (one !== other) {
    const fix = 'compress with gzip -n, or from standard input';
    return {
      text: `at byte 4: the time in the gzip header, ${one} and ${other}`,
      cause: cause('time', { text: 'the time in the gzip header', fix }),
    };
  }
  try {
    const options = { maxOutputLength: MAX_UNPACKED_BYTES };
    const unpack = (data: Buffer): Buffer =>
      isGzip ? gunzipSync(data, options) : zstdDecompressSync(data, options);
    const [a, b] = [unpack(first), unpack(second)];
    if (a.equals(b)) return undefined;
    const found = classifyContent(path, a, b, facts, depth + 1);
    return { ...found, text: `uncompressed, ${found.text}` };
  } catch {
    return undefined;
  }
}

/** Maximum number of differing positions that are examined in a binary. */
const MAX_POSITIONS = 64;

function classifyBinary(first: Buffer, second: Buffer, facts: BuildFacts): ContentDifference {
  let fallback: ContentDifference | undefined;
  let offset = firstDifference(first, second, 0);
  const start = offset;
  for (
    let positions = 0;
    positions < MAX_POSITIONS && offset < Math.max(first.length, second.length);
  ) {
    const found = classifyPosition(first, second, offset, facts);
    if (found.cause.kind !== 'unknown' && found.cause.kind !== 'random') return found;
    fallback ??= found;
    positions += 1;
    if (first.length !== second.length) break;
    offset = firstDifference(first, second, offset + 32);
  }
  if (
    first.length !== second.length &&
    (fallback === undefined || fallback.cause.kind === 'unknown')
  )
    return {
      text: `differs at byte ${start}: ${first.length} and ${second.length} bytes`,
      cause: fallback?.cause ?? cause('unknown'),
    };
  return fallback ?? { text: `differs at byte ${start}`, cause: cause('unknown') };
}

function classifyPosition(
  first: Buffer,
  second: Buffer,
  offset: number,
  facts: BuildFacts,
): ContentDifference {
  const [a, b] = [printableAround(first, offset), printableAround(second, offset)];
  if (isInBuildId(first, offset) && isInBuildId(second, offset))
    return { text: `differs at byte ${offset}: the build id`, cause: cause('unknown', BUILD_ID) };
  if (isElf(first) && isPath(a) && isPath(b)) {
    const text = `differs at byte ${offset}: ${quote(a)} and ${quote(b)}`;
    return { text, cause: cause('path', DEBUG_PATH) };
  }
  if (a.length >= 4 && b.length >= 4) {
    const found = classifyText(a, b, facts);
    const text = `differs at byte ${offset}: ${quote(found.first)} and ${quote(found.second)}`;
    if (found.cause.kind !== 'unknown') return { text, cause: found.cause };
  }
  const shown = `differs at byte ${offset}: ${hex(first, offset)} and ${hex(second, offset)}`;
  if (holdsTimes(first, second, offset, facts.now))
    return { text: shown, cause: cause('time', { text: 'the time of the build, in binary' }) };
  if (holdsAddress(first, offset) && holdsAddress(second, offset))
    return { text: shown, cause: cause('address') };
  const random = looksRandom(first, second, offset);
  if (random && isCompressed(first)) return { text: shown, cause: cause('unknown', COMPRESSED) };
  return { text: shown, cause: cause(random ? 'random' : 'unknown', random ? HASHED : {}) };
}

/** Compilers write the directory and the names of sources into debug information (DWARF). */
const DEBUG_PATH = {
  text: 'the path of a source, as in debug information',
  fix: 'compile in a fixed directory, or with -ffile-prefix-map="$PWD"=. (as: --debug-prefix-map)',
};

function isElf(data: Buffer): boolean {
  return data.toString('latin1', 0, 4) === '\x7FELF';
}

/** Reports whether a text is an absolute path with a directory. */
function isPath(text: string): boolean {
  return /^\/[\w.+@~-]+(?:\/[\w.+@~-]+)+\/?$/.test(text);
}

/** Linkers hash what they link, Go also the sources. */
const BUILD_ID = {
  text: 'a hash of other differences, which the file itself does not contain',
  fix: 'compare the inputs of the linker; strip, or link with -Wl,--build-id=none, to omit it',
};

/** Reports whether the byte is in the descriptor of an ELF note, or in the build id of Go. */
function isInBuildId(data: Buffer, offset: number): boolean {
  const before = data.toString('latin1', Math.max(0, offset - 120), offset);
  // The type of the note is 3, and the descriptor has 16 or 20 bytes.
  const note = before.lastIndexOf('\x03\0\0\0GNU\0');
  if (note !== -1 && before.length - note - 8 < 20) return true;
  return /Go build ID: "[^"\n]*$/.test(before);
}

const COMPRESSED = {
  text: 'different data in compressed form',
  fix: 'compare the uncompressed data of two builds, or compress it in a later RUN',
};

/** xz, bzip2, zstd, gzip, lz4, lzip, zip, 7z, PNG, squashfs */
const COMPRESSED_FORMATS: readonly string[] = [
  '\xFD7zXZ\0',
  'BZh',
  '\x28\xB5\x2F\xFD',
  '\x1F\x8B',
  '\x04\x22\x4D\x18',
  'LZIP',
  'PK\x03\x04',
  '7z\xBC\xAF',
  '\x89PNG',
  'hsqs',
];

/** Compressed data looks random, whatever differs in it. */
function isCompressed(data: Buffer): boolean {
  const start = data.toString('latin1', 0, 8);
  return COMPRESSED_FORMATS.some((format) => start.startsWith(format));
}

const HASHED = { text: 'random data, or a hash of differing data' };

function firstDifference(a: Buffer, b: Buffer, from: number): number {
  const shortest = Math.min(a.length, b.length);
  let at = Math.min(from, shortest);
  // Compares large blocks first.
  while (at + 4096 <= shortest && a.compare(b, at, at + 4096, at, at + 4096) === 0) at += 4096;
  while (at < shortest && a[at] === b[at]) at += 1;
  return at;
}

function printableAround(data: Buffer, offset: number): string {
  const isPrintable = (at: number): boolean => {
    const byte = data[at] ?? 0;
    return byte >= 0x20 && byte < 0x7f;
  };
  let [start, end] = [offset, offset];
  while (start > 0 && offset - start < 200 && isPrintable(start - 1)) start -= 1;
  while (end < data.length && end - offset < 200 && isPrintable(end)) end += 1;
  return data.toString('latin1', start, end);
}

/**
 * Reports whether 32-bit numbers that include the byte at `offset` are times of two builds: one
 * within a day of `now`, the other at most a year older. One alone is frequent in random data.
 */
function holdsTimes(first: Buffer, second: Buffer, offset: number, now: number): boolean {
  const end = Math.min(first.length, second.length);
  const isTime = (value: number, days: number): boolean =>
    value > now - days * DAY_SECONDS && value <= now + DAY_SECONDS;
  for (let at = Math.max(0, offset - 3); at <= offset && at + 4 <= end; at += 1) {
    if (isTime(second.readUInt32LE(at), 1) && isTime(first.readUInt32LE(at), 366)) return true;
    if (isTime(second.readUInt32BE(at), 1) && isTime(first.readUInt32BE(at), 366)) return true;
  }
  return false;
}

/**
 * Reports whether a 64-bit number that includes the byte at `offset` is an address of a user
 * process.
 */
function holdsAddress(data: Buffer, offset: number): boolean {
  for (let at = Math.max(0, offset - 7); at <= offset && at + 8 <= data.length; at += 1) {
    const top = data.readBigUInt64LE(at) >> 40n;
    if (top === 0x55n || top === 0x56n || (top >= 0x7cn && top <= 0x7fn)) return true;
  }
  return false;
}

function looksRandom(a: Buffer, b: Buffer, offset: number): boolean {
  const end = Math.min(offset + 20, a.length, b.length);
  let equal = 0;
  for (let at = offset; at < end; at += 1) if (a[at] === b[at]) equal += 1;
  return end - offset >= 8 && equal <= 2;
}

function isText(data: Buffer): boolean {
  const isPlain = data.every(
    (byte) => byte >= 0x20 || (byte >= 0x08 && byte <= 0x0d) || byte === 0x1b,
  );
  return (isPlain && isUtf8(data)) || isNulSeparated(data);
}

/** Reports whether the data is text as `find -print0` writes it. */
function isNulSeparated(data: Buffer): boolean {
  const isPlain = data.every(
    (byte) => byte === 0 || byte === 0x0a || (byte >= 0x20 && byte !== 0x7f),
  );
  return isPlain && data.at(-1) === 0 && isUtf8(data);
}

function hex(data: Buffer, offset: number): string {
  return data.toString('hex', offset, offset + 8) || 'end of file';
}

function quote(text: string): string {
  return JSON.stringify(text);
}
