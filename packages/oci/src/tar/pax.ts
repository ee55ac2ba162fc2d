import { headerKeys, XATTR_KEY } from './tar-header.ts';

/** Keys and values of a PAX extended header, latin1. */
export type PaxRecords = Map<string, string>;

/**
 * Parses a PAX extended header (POSIX.1-2017, pax, "pax Extended Header"): lines of `<length>
 * <key>=<value>\n`, in which values may contain any byte. Returns undefined if the text is
 * malformed.
 */
export function parsePax(text: string): PaxRecords | undefined {
  const records: PaxRecords = new Map();
  let start = 0;
  while (start < text.length) {
    const blank = text.indexOf(' ', start);
    const digits = text.slice(start, blank);
    if (blank === -1 || blank - start > 8 || !/^\d+$/.test(digits)) return undefined;
    const end = start + Number(digits);
    if (end > text.length || end <= blank + 1 || text[end - 1] !== '\n') return undefined;
    const equals = text.indexOf('=', blank);
    if (equals <= blank + 1 || equals >= end) return undefined;
    const key = text.slice(blank + 1, equals);
    const value = text.slice(equals + 1, end - 1);
    if (key.includes('\0')) return undefined;
    if (value.includes('\0') && /^(?:path|linkpath|uname|gname)$/.test(key)) return undefined;
    records.set(key, value);
    start = end;
  }
  return records;
}

/** Returns an entry's extended attributes and vendor records: all that has no header field. */
export function paxAttributes(
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
  return { xattrs: xattrs.size > 0 ? xattrs : undefined, pax: pax.size > 0 ? pax : undefined };
}
