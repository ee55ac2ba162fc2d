import { expect, test } from 'vitest';
import { canonicalJson, LktError, positionAt, sourceError } from '../src/index.ts';

test('a source error shows file:line:col, the line and a caret that lines up under tabs', () => {
  const file = { path: 'Dockerfile', text: 'FROM scratch\n\tRNU true\r\n' };
  const error = sourceError(
    'DOCKERFILE_INVALID',
    file,
    { line: 2, column: 2 },
    'unknown instruction',
    { length: 3 },
  );
  expect(error).toBeInstanceOf(LktError);
  expect(error.message).toBe('Dockerfile:2:2: unknown instruction');
  expect(error.detail).toBe('  2 | \tRNU true\n    | \t^^^');
});

test('a caret never leaves its line', () => {
  const error = sourceError(
    'CONFIG_INVALID',
    { path: 'f', text: 'ab' },
    { line: 9, column: 9 },
    'x',
    { length: 50 },
  );
  expect(error.detail).toBe('  9 | \n    | ^');
});

test('positions are counted from one', () => {
  expect(positionAt('ab\ncd', 0)).toEqual({ line: 1, column: 1 });
  expect(positionAt('ab\ncd', 4)).toEqual({ line: 2, column: 2 });
});

test('canonical JSON does not depend on the order of keys', () => {
  expect(canonicalJson({ b: [1, { d: 1, c: null }], a: 'x' })).toBe(
    '{"a":"x","b":[1,{"c":null,"d":1}]}',
  );
  expect(canonicalJson({ a: 'x', b: [1, { c: null, d: 1 }] })).toBe(
    canonicalJson({ b: [1, { d: 1, c: null }], a: 'x' }),
  );
});
