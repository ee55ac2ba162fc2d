import { expect, it } from 'vitest';
import { retryAfterMs } from '../src/retry.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

it.each([
  [undefined, undefined],
  ['0', 0],
  ['7', 7000],
  ['Thu, 01 Jan 2026 00:00:05 GMT', 5000],
  ['Wed, 31 Dec 2025 23:59:59 GMT', 0],
  ['soon', undefined],
])('retryAfterMs parses %s', (value, expected) => {
  expect(retryAfterMs(value, now)).toBe(expected);
});
