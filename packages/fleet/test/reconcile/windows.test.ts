import { expect, test } from 'vitest';
import { isOpen, type Window } from '../../src/reconcile/windows.ts';

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
