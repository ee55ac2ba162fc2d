/** Days of the week, as `Intl` abbreviates them in English. */
export const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
export type Day = (typeof DAYS)[number];

/** A weekly period in which nodes may be replaced. */
export interface Window {
  readonly days: readonly Day[];
  /** Minutes after midnight. */
  readonly from: number;
  /** Minutes after midnight; at or before `from`: on the next day. */
  readonly to: number;
  /** Name of a time zone, such as `Europe/Berlin`. */
  readonly zone: string;
}

const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const MINUTE_MS = 60_000;

/** Reports whether a time is in one of the windows. Without any window, every time is. */
export function isOpen(windows: readonly Window[], now: number): boolean {
  return windows.length === 0 || windows.some((window) => contains(window, now));
}

/**
 * Returns the longest time without an open window, in milliseconds; 0 if there are no windows.
 * Offsets of zones are those of a winter's day, so it is shorter by an hour where one has others.
 */
export function longestClosed(windows: readonly Window[]): number {
  const opens = windows.flatMap(({ days, from, to, zone }) => {
    const offset = offsetOf(zone);
    const length = to > from ? to - from : to - from + DAY_MINUTES;
    return days.map((name) => {
      const start = DAYS.indexOf(name) * DAY_MINUTES + from - offset;
      return { start: (start + WEEK_MINUTES) % WEEK_MINUTES, length };
    });
  });
  if (opens.length === 0) return 0;
  // A window of the week before may be open at its beginning.
  let end = Math.max(...opens.map(({ start, length }) => start + length - WEEK_MINUTES));
  let longest = 0;
  for (const { start, length } of opens.toSorted((a, b) => a.start - b.start)) {
    longest = Math.max(longest, start - end);
    end = Math.max(end, start + length);
  }
  const slack = windows.some(({ zone }) => zone !== 'UTC') ? 60 : 0;
  return Math.max(0, longest - slack) * MINUTE_MS;
}

/** Returns the minutes by which a zone is ahead of UTC in winter. */
function offsetOf(zone: string): number {
  // A Sunday, so that the day is the difference.
  const { day, minute } = localTime(Date.UTC(2026, 0, 4, 12), zone);
  return (day === 6 ? -1 : day) * DAY_MINUTES + minute - DAY_MINUTES / 2;
}

/** Returns a time by which {@link isOpen} may have changed: the next quarter of an hour. */
export function nextChange(now: number): number {
  const quarter = 15 * MINUTE_MS;
  return (Math.floor(now / quarter) + 1) * quarter;
}

function contains({ days, from, to, zone }: Window, now: number): boolean {
  const { day, minute } = localTime(now, zone);
  const today = DAYS[day];
  const yesterday = DAYS[(day + 6) % 7];
  const isListed = (name: Day | undefined): boolean => name !== undefined && days.includes(name);
  if (from < to) return isListed(today) && minute >= from && minute < to;
  return (isListed(today) && minute >= from) || (isListed(yesterday) && minute < to);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Returns the day of the week and the minutes after midnight in a time zone. */
function localTime(now: number, zone: string): { readonly day: number; readonly minute: number } {
  if (zone === 'UTC') {
    const minutes = Math.floor(now / MINUTE_MS);
    // 1970 began on a Thursday.
    return { day: (Math.floor(minutes / DAY_MINUTES) + 4) % 7, minute: minutes % DAY_MINUTES };
  }
  const parts = new Map(
    formatOf(zone)
      .formatToParts(now)
      .map(({ type, value }) => [type, value]),
  );
  const day = DAYS.findIndex((name) => name === parts.get('weekday'));
  return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  formats.set(zone, format);
  return format;
}
