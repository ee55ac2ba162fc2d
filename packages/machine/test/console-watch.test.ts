import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConsoleWatch } from '../src/console-watch.ts';

test('finds a text across chunk boundaries', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      (before, text, after, step) => {
        const all = Buffer.concat([before, Buffer.from(text), after]);
        const watch = new ConsoleWatch([text], 10);
        for (let at = 0; at < all.length; at += step) watch.push(all.subarray(at, at + step));
        expect(watch.missing).toEqual([]);
      },
    ),
  );
});

test('lists the texts not seen', () => {
  const watch = new ConsoleWatch(['one', 'two']);
  watch.push(Buffer.from('on'));
  watch.push(Buffer.from('E two'));
  expect(watch.missing).toEqual(['one']);
  expect(watch.panicked).toBe(false);
});

test('returns the last lines as plain text', () => {
  const watch = new ConsoleWatch([]);
  watch.push(Buffer.from('a\r\n\u001b[31mred\u001b[0m\u0007\r\n\r\n\u001b[2Jlast'));
  expect(watch.lastLines(2)).toEqual(['red', 'last']);
});

test('bounds its memory', () => {
  const watch = new ConsoleWatch(['never'], 1000);
  for (let i = 0; i < 1000; i += 1) watch.push(Buffer.alloc(1000, 'x'));
  expect(watch.lastLines(1)[0]).toHaveLength(1000);
});
