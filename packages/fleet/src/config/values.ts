import { integer, either, text, type YamlType } from '@lkt/core';
import { DAYS, type Day } from '../reconcile/windows.ts';

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
/** Ten years; a larger one is a mistake. */
const MAX_DURATION_MS = 3650 * 86_400_000;

/** A duration such as `30s`, `10m`, `12h` or `30d`, in milliseconds. */
export const duration: YamlType<number> = text({
  matches: /^\d{1,9}[smhd]$/,
  problem: (given) => `"${given}" is not a duration`,
  fix: 'write a number and s, m, h or d, such as 10m',
}).transform((given, at) => {
  const milliseconds = Number(given.slice(0, -1)) * (UNITS_MS.get(given.slice(-1)) ?? 0);
  if (milliseconds <= MAX_DURATION_MS) return milliseconds;
  throw at.error(`${given} is longer than ten years`, { fix: 'write 3650d at most' });
});

/** A TCP port. */
export const port: YamlType<number> = integer(1, 65_535);

/** A port of the guest and a path, such as `:8080/healthz`. */
export const endpoint: YamlType<{ readonly port: number; readonly path: string }> = text({
  matches: /^:\d{1,5}\/[\x21-\x7e]*$/,
  problem: (given) => `"${given}" is not a port and a path`,
  fix: 'write :PORT/PATH, such as :8080/healthz',
}).transform((given, at) => {
  const [, digits = '', path = ''] = /^:(\d+)(\/.*)$/.exec(given) ?? [];
  const number = Number(digits);
  if (number >= 1 && number <= 65_535) return { port: number, path };
  throw at.error(`${digits} is not a port`, { fix: 'use a port from 1 to 65535' });
});

const SIZE_POWERS = 'KMGT';

/** A size such as `256M` or `10G`, in bytes; the units are powers of 1024. */
export const size: YamlType<number> = text({
  matches: /^[1-9]\d{0,5}[KMGT]$/,
  problem: (given) => `"${given}" is not a size`,
  fix: 'write a number and K, M, G or T, such as 512M',
}).transform((given) => {
  const power = SIZE_POWERS.indexOf(given.slice(-1)) + 1;
  return Number(given.slice(0, -1)) * 1024 ** power;
});

/** A number of nodes, or a percentage of them. */
export type Share = number | { readonly percent: number };

const percentageOr = (other: string): YamlType<{ readonly percent: number }> =>
  text({
    matches: /^\d{1,3}%$/,
    problem: (given) => `"${given}" is not a percentage`,
    fix: `write ${other}a percentage such as 25%`,
  }).transform((given, at) => {
    const percent = Number(given.slice(0, -1));
    if (percent <= 100) return { percent };
    throw at.error(`${given} is more than 100%`, { fix: 'write 100% at most' });
  });

/** A number of nodes, or a percentage of them such as `25%`. */
export const share: YamlType<Share> = either(
  percentageOr('a number of nodes, or '),
  (value) => value.isString(),
  integer(0, 100_000),
);

/**
 * Converts a share of a group to a number of nodes. Rounds a percentage down, but to at least one
 * node unless it is zero.
 */
export function nodesOf(given: Share, total: number): number {
  if (typeof given === 'number') return given;
  return given.percent === 0 ? 0 : Math.max(1, Math.floor((total * given.percent) / 100));
}

/** A percentage, as a fraction. */
export const fraction: YamlType<number> = percentageOr('').transform(
  ({ percent }) => percent / 100,
);

/** A time of day such as `09:30`, in minutes after midnight. */
export const timeOfDay: YamlType<number> = text({
  matches: /^(?:[01]\d|2[0-3]):[0-5]\d$/,
  problem: (given) => `"${given}" is not a time of day`,
  fix: 'write hours and minutes in quotes, such as "09:30"',
}).transform((given) => Number(given.slice(0, 2)) * 60 + Number(given.slice(3)));

/** A day of the week: `Mon`, `Tue`… */
export const day: YamlType<Day> = text().transform((given, at) => {
  const found = DAYS.find((name) => name === given);
  if (found !== undefined) return found;
  throw at.error(`"${given}" is not a day`, { fix: `use one of: ${DAYS.join(', ')}` });
});

/** A name of a time zone that this Node knows. */
export const zone: YamlType<string> = text().transform((given, at) => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: given }).resolvedOptions().timeZone === ''
      ? given
      : given;
  } catch (cause) {
    throw at.error(`"${given}" is not a time zone`, {
      cause,
      fix: 'write its name, such as UTC or Europe/Berlin',
    });
  }
});
