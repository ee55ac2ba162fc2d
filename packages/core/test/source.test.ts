import { expect, test } from 'vitest';
import { canonicalJson, LktError, sourceError } from '../src/index.ts';

test('sourceError shows file:line:col, the line, and a caret aligned under tabs', () => {
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

test('sourceError keeps the caret within its line', () => {
  const error = sourceError(
    'CONFIG_INVALID',
    { path: 'f', text: 'ab' },
    { line: 9, column: 9 },
    'x',
    { length: 50 },
  );
  expect(error.detail).toBe('  9 | \n    | ^');
});

test('sourceError shortens a long line around the position', () => {
  const text = `${'a'.repeat(1000)}bad${'c'.repeat(1000)}`;
  const detailAt = (column: number, length: number): readonly string[] => {
    const file = { path: 'f', text };
    const error = sourceError('CONFIG_INVALID', file, { line: 1, column }, 'x', { length });
    return (error.detail ?? '').split('\n');
  };
  const [line = '', carets = ''] = detailAt(1001, 3);
  expect(line).toBe(`  1 | …${'a'.repeat(80)}bad${'c'.repeat(117)}…`);
  expect(line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('bad');
  expect(detailAt(1, 5000)).toEqual([`  1 | ${'a'.repeat(200)}…`, `    | ${'^'.repeat(201)}`]);
  expect(detailAt(2003, 1)).toEqual([`  1 | …${'c'.repeat(200)}`, `    | ${' '.repeat(200)}^`]);
});
test('canonicalJson does not depend on key order', () => {
  expect(canonicalJson({ b: [1, { d: 1, c: null }], a: 'x' })).toBe(
    '{"a":"x","b":[1,{"c":null,"d":1}]}',
  );
  expect(canonicalJson({ a: 'x', b: [1, { c: null, d: 1 }] })).toBe(
    canonicalJson({ b: [1, { d: 1, c: null }], a: 'x' }),
  );
});
