const MONTHS =
  'January February March April May June July August September October November December';

/** Seconds per day. */
export const DAY_SECONDS = 86_400;

/**
 * Returns the source of a regular expression that matches common spellings of the days around
 * a moment, in UTC. Adjacent digits prevent a match.
 */
export function dayPattern(seconds: number): string {
  const days = [-DAY_SECONDS, 0, DAY_SECONDS].map((offset) => new Date((seconds + offset) * 1000));
  const spellings = days.flatMap((date) => {
    const year = String(date.getUTCFullYear());
    const month = String(date.getUTCMonth() + 1).padStart(2, '0');
    const day = String(date.getUTCDate()).padStart(2, '0');
    const name = MONTHS.split(' ')[date.getUTCMonth()] ?? '';
    const names = `(?:${name}|${name.slice(0, 3)})`;
    const short = `(?:${day}|[ ]?${Number(day)})`;
    return [
      `${year}[-/.]?${month}[-/.]?${day}`,
      `${day}[./]${month}[./]${year}`,
      `${month}/${day}/${year}`,
      // C's __DATE__, ctime(3) with the time in between, and mail.
      `${names},? ${short},? (?:\\d\\d:\\d\\d:\\d\\d (?:[A-Z]{3,5} )?)?${year}`,
      `${short}[ -]${names}[ -]${year}`,
    ];
  });
  return `(?<![0-9A-Za-z])(?:${spellings.join('|')})(?![0-9])`;
}

/**
 * Reports whether text is a time in seconds since 1970, or in a fraction of them, within a day of a
 * moment.
 */
export function isEpochNear(text: string, seconds: number): boolean {
  const match = /^(\d{10})(?:\.\d+|\d{3}|\d{6}|\d{9})?$/.exec(text);
  return match?.[1] !== undefined && Math.abs(Number(match[1]) - seconds) <= DAY_SECONDS;
}

/**
 * Reports whether text has the digits of a time within a day of a moment without separators, as in
 * `date +%Y%m%d%H%M%S`, or with hundredths as in ISO 9660, or its seconds since 1970 as eight
 * hexadecimal digits.
 */
export function isStampNear(text: string, seconds: number): boolean {
  const stamp = /(?<!\d)(\d{4})(\d\d)(\d\d)[T_-]?(\d\d)(\d\d)(?:\d\d){0,2}(?!\d)/.exec(text);
  if (stamp !== null) {
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = stamp.slice(1).map(Number);
    const time = Date.UTC(year, month - 1, day, hour, minute) / 1000;
    return Math.abs(time - seconds) <= DAY_SECONDS;
  }
  const hex = /\b(?:0x)?([0-9a-f]{8})\b/i.exec(text)?.[1];
  return hex !== undefined && isEpochNear(String(Number.parseInt(hex, 16)), seconds);
}
