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
const MINUTE_MS = 60_000;

/** Reports whether a time is in one of the windows. Without any window, every time is. */
export function isOpen(windows: readonly Window[], now: number): boolean {
  return windows.length === 0 || windows.some((window) => contains(window, now));
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
