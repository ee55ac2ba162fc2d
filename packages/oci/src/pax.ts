/** Keys and values of a PAX extended header, latin1. */
export type PaxRecords = Map<string, string>;

/**
 * POSIX.1-2017, pax, "pax Extended Header": lines of `<length> <key>=<value>\n`, where values hold any bytes.
 * Undefined when the text is not that.
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
