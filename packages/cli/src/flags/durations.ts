import { LktError } from '@lkt/core';

/** Above this, in seconds, Node's timers overflow. */
const MAX_LIMIT = 2_000_000;

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/**
 * Parses the duration given to a flag, in seconds: `90s`, `1h30m`, `14d`.
 * @throws LktError USAGE_INVALID
 */
export function durationOf(option: string, text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== undefined) return seconds;
  throw new LktError('USAGE_INVALID', `${option}: ${text} is not a duration`, {
    fix: 'write numbers with s, m, h, d or w, such as 14d or 1h30m',
  });
}

/**
 * Parses the time limit given to a flag, in milliseconds: a number of seconds, or a duration.
 * @throws LktError USAGE_INVALID
 */
export function timeLimitOf(option: string, text: string): number {
  const seconds = /^\d{1,7}(?:\.\d{1,3})?$/.test(text) ? Number(text) : parseDuration(text);
  if (seconds !== undefined && seconds > 0 && seconds < MAX_LIMIT) return seconds * 1000;
  throw new LktError(
    'USAGE_INVALID',
    `${option}: ${text} is not a time limit between 0 and 23 days`,
    { fix: 'write seconds, or numbers with s, m, h or d, such as 90 or 1h30m' },
  );
}

function parseDuration(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d{1,6})([smhdw])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return undefined;
  return parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (SECONDS[unit ?? ''] ?? 0),
    0,
  );
}
