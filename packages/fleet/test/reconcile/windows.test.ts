import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DAYS, isOpen, longestClosed, type Window } from '../../src/reconcile/windows.ts';

const at = (text: string): number => Date.parse(text);
const night: Window = { days: ['Fri'], from: 22 * 60, to: 4 * 60, zone: 'Europe/Berlin' };

test('is always open without windows', () => {
  expect(isOpen([], 0)).toBe(true);
});

test('follows a window over midnight, by the clock of its zone', () => {
  // 2026-11-27 is a Friday; Berlin is an hour ahead in winter.
  expect(isOpen([night], at('2026-11-27T20:59:00Z'))).toBe(false);
  expect(isOpen([night], at('2026-11-27T21:00:00Z'))).toBe(true);
  expect(isOpen([night], at('2026-11-28T02:59:00Z'))).toBe(true);
  expect(isOpen([night], at('2026-11-28T03:00:00Z'))).toBe(false);
  // Summer time: two hours ahead.
  expect(isOpen([night], at('2026-07-03T20:00:00Z'))).toBe(true);
});

test('computes UTC as Intl does', () => {
  const utc: Window = { days: ['Mon', 'Thu'], from: 9 * 60, to: 17 * 60 + 30, zone: 'UTC' };
  for (let hour = 0; hour < 24 * 14; hour += 1) {
    const time = at('2026-02-26T00:15:00Z') + hour * 3_600_000;
    expect(isOpen([utc], time)).toBe(isOpen([{ ...utc, zone: 'Etc/UTC' }], time));
  }
});

const HOUR_MS = 3_600_000;

test('computes the longest time without an open window', () => {
  const utc: Window = { days: ['Mon'], from: 9 * 60, to: 10 * 60, zone: 'UTC' };
  expect(longestClosed([])).toBe(0);
  expect(longestClosed([utc])).toBe((7 * 24 - 1) * HOUR_MS);
  expect(longestClosed([{ ...utc, days: DAYS }])).toBe(23 * HOUR_MS);
  expect(longestClosed([{ ...utc, days: DAYS, from: 0, to: 0 }])).toBe(0);
  // An hour less, where clocks are set.
  expect(longestClosed([{ ...utc, zone: 'Pacific/Auckland' }])).toBe((7 * 24 - 2) * HOUR_MS);
  const tokyo = { ...utc, zone: 'Asia/Tokyo' };
  expect(longestClosed([utc, tokyo])).toBe((7 * 24 - 11) * HOUR_MS);
});

test('computes the same as an observer of every hour', () => {
  const hour = fc.integer({ min: 0, max: 23 }).map((given) => given * 60);
  const window = fc.record({
    days: fc.uniqueArray(fc.constantFrom(...DAYS), { minLength: 1 }),
    from: hour,
    to: hour,
    zone: fc.constant('UTC'),
  });
  fc.assert(
    fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), (windows) => {
      let [longest, closed] = [0, 0];
      for (let passed = 0; passed < 21 * 24; passed += 1) {
        closed = isOpen(windows, passed * HOUR_MS) ? 0 : closed + 1;
        longest = Math.max(longest, closed);
      }
      expect(longestClosed(windows)).toBe(longest * HOUR_MS);
    }),
  );
});
