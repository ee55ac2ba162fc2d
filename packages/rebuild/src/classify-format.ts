import { inflateRawSync } from 'node:zlib';
import { isTarHeader } from '@lkt/oci';
import { type Cause, cause } from './cause.ts';

/** A difference found by the format of two files: a cause, or a member to compare. */
export type FormatDifference =
  | { readonly kind: 'known'; readonly text: string; readonly cause: Cause }
  | {
      readonly kind: 'member';
      readonly member: string;
      readonly first: Buffer;
      readonly second: Buffer;
    };

/** A file in an archive. */
interface Member {
  readonly name: string;
  readonly time: string;
  readonly owner: string;
  /** Its inode and device, if the archive has them. */
  readonly place?: string;
  readonly content: Buffer;
}

/**
 * Compares two files by their format. Returns undefined for unknown formats, or if the format has
 * no difference.
 */
export function classifyFormat(
  path: string,
  first: Buffer,
  second: Buffer,
): FormatDifference | undefined {
  return (
    classifyIndex(path, first, second) ??
    classifyPyc(first, second) ??
    classifyArchive('tar', TAR_FIX, tarMembers(first), tarMembers(second)) ??
    classifyArchive(
      'zip',
      /\.[jwe]ar$/.test(path) ? JAR_FIX : ZIP_FIX,
      zipMembers(first),
      zipMembers(second),
    ) ??
    classifyArchive('cpio', CPIO_FIX, cpioMembers(first), cpioMembers(second)) ??
    classifyArchive('ar', AR_FIX, arMembers(first), arMembers(second))
  );
}

const TAR_FIX =
  'archive with: tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner';
const ZIP_FIX =
  'set the times of the files first (touch -d @$SOURCE_DATE_EPOCH), and archive in order: find … | LC_ALL=C sort | TZ=UTC zip -X -@';
const JAR_FIX =
  'give the time to jar: jar --date="$(date -u -d @$SOURCE_DATE_EPOCH +%Y-%m-%dT%H:%M:%SZ)" …';
const CPIO_FIX =
  'set the times of the files first (touch -h -d @$SOURCE_DATE_EPOCH), and archive in order: find … | LC_ALL=C sort | cpio -o -H newc --reproducible -R 0:0';
const AR_FIX = 'archive with ar D (and ranlib -D), and name the members in a fixed order';

/** Files that record inodes and times to detect changes. */
function classifyIndex(path: string, first: Buffer, second: Buffer): FormatDifference | undefined {
  if (path.endsWith('var/cache/ldconfig/aux-cache')) {
    const fix = 'remove it in the same RUN: rm -f /var/cache/ldconfig/aux-cache';
    const why = cause('file-system', { text: 'times and inodes of libraries', fix });
    return known('is the ldconfig cache', why);
  }
  if ([first, second].every((data) => data.toString('latin1', 0, 4) === 'DIRC')) {
    const fix = 'remove .git in the same RUN';
    return known(
      'is a git index',
      cause('file-system', { text: 'times and inodes of files', fix }),
    );
  }
  return undefined;
}

/** Compiled Python (PEP 552): with flags 0 the time of the source follows. */
function classifyPyc(first: Buffer, second: Buffer): FormatDifference | undefined {
  const files = [first, second];
  if (!files.every((data) => data.length > 16 && data.readUInt16LE(2) === 0x0a0d)) return undefined;
  if (!files.every((data) => data.readUInt32LE(4) === 0)) return undefined;
  const [one, other] = [first.readUInt32LE(8), second.readUInt32LE(8)];
  if (one === other) return undefined;
  const fix =
    'compile with --invalidation-mode unchecked-hash, or do not compile: set PYTHONDONTWRITEBYTECODE=1';
  return known(
    `has different source times: ${one} and ${other}`,
    cause('time', { text: 'the source time in compiled Python', fix }),
  );
}

function classifyArchive(
  format: string,
  fix: string,
  first: readonly Member[] | undefined,
  second: readonly Member[] | undefined,
): FormatDifference | undefined {
  if (first === undefined || second === undefined) return undefined;
  const names = (members: readonly Member[]): string[] => members.map(({ name }) => name);
  const [a, b] = [names(first), names(second)];
  if (a.join('\n') !== b.join('\n')) {
    if (a.toSorted().join('\n') !== b.toSorted().join('\n')) return undefined;
    return known(
      'has its members in a different order',
      cause('order', { text: 'the order of the archived files', fix }),
    );
  }
  for (const [index, one] of first.entries()) {
    const other = second[index];
    if (other === undefined) return undefined;
    if (!one.content.equals(other.content) && format !== 'ar')
      return { kind: 'member', member: one.name, first: one.content, second: other.content };
    if (one.time !== other.time) {
      return known(
        `has different times for member ${one.name}: ${one.time} and ${other.time}`,
        cause('time', { text: 'times of files in an archive', fix }),
      );
    }
    if (one.owner !== other.owner) {
      return known(
        `has different owners for member ${one.name}: ${one.owner} and ${other.owner}`,
        cause('owner', { text: 'owners of files in an archive', fix }),
      );
    }
    if (one.place !== other.place) {
      return known(
        `has different inodes or devices for member ${one.name}: ${one.place} and ${other.place}`,
        cause('file-system', { text: 'inodes of files in an archive', fix }),
      );
    }
    if (!one.content.equals(other.content))
      return { kind: 'member', member: one.name, first: one.content, second: other.content };
  }
  return undefined;
}

function known(text: string, why: Cause): FormatDifference {
  return { kind: 'known', text, cause: why };
}

/** Parses a tar archive (POSIX, ustar Interchange Format). */
function tarMembers(data: Buffer): readonly Member[] | undefined {
  const members: Member[] = [];
  let at = 0;
  while (at + 512 <= data.length && data[at] !== 0) {
    const field = (from: number, length: number): string =>
      data.toString('latin1', at + from, at + from + length).replace(/[\0 ]+[^]*$/, '');
    if (!isTarHeader(data.subarray(at, at + 512))) return undefined;
    const size = Number.parseInt(field(124, 12) || '0', 8);
    if (!Number.isSafeInteger(size)) return undefined;
    members.push({
      name: field(0, 100),
      time: String(Number.parseInt(field(136, 12) || '0', 8)),
      owner: `${field(108, 8)}:${field(116, 8)} ${field(265, 32)}:${field(297, 32)}`,
      content: data.subarray(at + 512, at + 512 + size),
    });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members.length === 0 ? undefined : members;
}

/** Maximum size of a member that is uncompressed. */
const MAX_MEMBER_BYTES = 64 * 2 ** 20;

/** Parses a zip archive by its central directory (APPNOTE.TXT 4.3.12). */
function zipMembers(data: Buffer): readonly Member[] | undefined {
  if (data.length < 22 || data.readUInt32LE(0) !== 0x04034b50) return undefined;
  const end = data.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 22 > data.length) return undefined;
  const members: Member[] = [];
  let at = data.readUInt32LE(end + 16);
  while (at + 46 <= end && data.readUInt32LE(at) === 0x02014b50) {
    const [nameEnd, local] = [at + 46 + data.readUInt16LE(at + 28), data.readUInt32LE(at + 42)];
    if (local + 30 > end) return undefined;
    const extraEnd = nameEnd + data.readUInt16LE(at + 30);
    const localExtra = local + 30 + data.readUInt16LE(local + 26);
    const start = localExtra + data.readUInt16LE(local + 28);
    const stored = data.subarray(start, start + data.readUInt32LE(at + 20));
    const extras = [data.subarray(nameEnd, extraEnd), data.subarray(localExtra, start)];
    members.push({
      name: data.toString('latin1', at + 46, nameEnd),
      time: [
        data.readUInt32LE(at + 12).toString(16),
        ...extras.map((extra) => extra.toString('hex')),
      ]
        .join(' ')
        .trim(),
      owner: '',
      content: data.readUInt16LE(at + 10) === 8 ? inflated(stored) : stored,
    });
    at = extraEnd + data.readUInt16LE(at + 32);
  }
  return members.length === 0 ? undefined : members;
}

function inflated(data: Buffer): Buffer {
  try {
    return inflateRawSync(data, { maxOutputLength: MAX_MEMBER_BYTES });
  } catch {
    return data;
  }
}

/** Parses a cpio archive in the new ASCII format, as an initramfs has (cpio(5)). */
function cpioMembers(data: Buffer): readonly Member[] | undefined {
  const members: Member[] = [];
  let at = 0;
  while (/^07070[12]$/.test(data.toString('latin1', at, at + 6))) {
    const field = (index: number): number => {
      const start = at + 6 + index * 8;
      return Number.parseInt(data.toString('latin1', start, start + 8), 16);
    };
    const [size, nameLength] = [field(6), field(11)];
    if (!Number.isSafeInteger(size) || !Number.isSafeInteger(nameLength)) return undefined;
    const start = Math.ceil((at + 110 + nameLength) / 4) * 4;
    members.push({
      name: data.toString('latin1', at + 110, at + 110 + Math.max(0, nameLength - 1)),
      time: String(field(5)),
      owner: `${field(2)}:${field(3)}`,
      place: [field(0), field(7), field(8)].join(' '),
      content: data.subarray(start, start + size),
    });
    at = Math.ceil((start + size) / 4) * 4;
  }
  return members.length === 0 ? undefined : members;
}

/** Parses an ar archive (ar(5)). */
function arMembers(data: Buffer): readonly Member[] | undefined {
  if (data.toString('latin1', 0, 8) !== '!<arch>\n') return undefined;
  const members: Member[] = [];
  let at = 8;
  while (at + 60 <= data.length) {
    const header = data.toString('latin1', at, at + 60);
    const size = Number(header.slice(48, 58).trim());
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    members.push({
      name: header.slice(0, 16).trim(),
      time: header.slice(16, 28).trim(),
      owner: `${header.slice(28, 34).trim()}:${header.slice(34, 40).trim()}`,
      content: data.subarray(at + 60, at + 60 + size),
    });
    at += 60 + size + (size % 2);
  }
  return members;
}
