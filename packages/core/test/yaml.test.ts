import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LktError, nearest, parseYaml, YamlError, type YamlValue } from '../src/index.ts';

/** Characters with a meaning in YAML. */
const ALPHABET = 'ab:-[]{}&*!|>\'"#\n \t,?%0'.split('');

const read = (text: string): YamlValue => parseYaml({ path: 'x.yml', text });

function problem(run: () => unknown): LktError {
  try {
    run();
  } catch (error) {
    if (error instanceof LktError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('rejects a value of the wrong type at its position', () => {
  test.each<[string, (value: YamlValue) => unknown, string]>([
    [
      'a: 1',
      (v) => v.fields(['a']).a?.string(),
      'x.yml:1:4: a: expected a string, found the number 1',
    ],
    [
      'a: b',
      (v) => v.fields(['a']).a?.integer(),
      'x.yml:1:4: a: expected a whole number, found a string',
    ],
    [
      'a: 1.5',
      (v) => v.fields(['a']).a?.integer(),
      'x.yml:1:4: a: expected a whole number, found the number 1.5',
    ],
    [
      'a: yes',
      (v) => v.fields(['a']).a?.boolean(),
      'x.yml:1:4: a: expected true or false, found a string',
    ],
    [
      'a:\n  - b\n  - {}',
      (v) => v.fields(['a']).a?.list()[1]?.string(),
      'x.yml:3:5: a[1]: expected a value, found a mapping',
    ],
    ['a:', (v) => v.fields(['a']).a?.list(), 'x.yml:1:3: a: expected a list, found nothing'],
    ['[]', (v) => v.entries(), 'x.yml:1:1: expected a mapping, found a list'],
    ['a: {b: 1}\n', (v) => v.fields(['a']).a?.fields(['c']), 'x.yml:1:5: unknown key "b" in a'],
  ])('%j', (text, use, message) => {
    const error = problem(() => use(read(text)));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toBe(message);
  });
});

test('names the key and the problem of a value that a parser rejects', () => {
  const at = read('a:\n  b: c').fields(['a']).a?.fields(['b']).b;
  const error = at?.error('x: y', { fix: 'write z', cause: new Error('why') });
  expect(error).toBeInstanceOf(YamlError);
  expect(error).toMatchObject({
    code: 'CONFIG_INVALID',
    key: 'a.b',
    problem: 'x: y',
    message: 'x.yml:2:6: a.b: x: y',
    detail: '  2 |   b: c\n    |      ^',
    fix: 'write z',
    cause: { message: 'why' },
  });
});

describe('rejects invalid documents', () => {
  test.each([
    ['a: 1\na: 2', 'x.yml:2:1: "a" is already on line 1'],
    ['a: &x 1\nb: *x', 'x.yml:2:4: aliases are not allowed'],
    ['a: [1', /^x\.yml:1:\d+: /],
    ['a: 1\n---\nb: 2', /^x\.yml:\d+:\d+: /],
    ['? {a: b}\n: c', 'x.yml:1:3: expected a simple key'],
  ])('%j', (text, message) => {
    const error = problem(() => read(text).entries());
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toMatch(message);
  });
});

test('rejects more levels than the parser can follow', () => {
  const text = `a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  expect(problem(() => read(text))).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/^x\.yml:1:\d+: it has too many levels$/),
  });
});

test('suggests spaces instead of a tab', () => {
  expect(problem(() => read('a:\n\t- b\n'))).toMatchObject({
    message: 'x.yml:2:1: Tabs are not allowed as indentation',
    fix: 'indent with blanks',
  });
});

test('reports an unknown key with its line, a caret and the nearest key', () => {
  const error = problem(() => read('image: a\nimgae: b').fields(['image', 'org']));
  expect(error.message).toBe('x.yml:2:1: unknown key "imgae"');
  expect(error.detail).toBe('  2 | imgae: b\n    | ^^^^^');
  expect(error.fix).toBe('did you mean "image"?');
});

test('text returns the written text', () => {
  const v = read('a: 0600\nb: 1.10\nc: "x"\nd: true').fields(['a', 'b', 'c', 'd']);
  expect([v.a?.text(), v.b?.text(), v.c?.text(), v.d?.text()]).toEqual([
    '0600',
    '1.10',
    'x',
    'true',
  ]);
});

test('range covers the text of the value', () => {
  const text = 'init:\n  - lkt/init:1 # first\n  - "q"\n';
  const item = read(text).fields(['init']).init?.list()[0];
  expect(text.slice(...(item?.range ?? [0, 0]))).toBe('lkt/init:1');
});

test('plain returns the value as data', () => {
  expect(read('a: {b: [1, "2", null, true]}').plain()).toEqual({ a: { b: [1, '2', null, true] } });
});

test('any text yields a value or an LktError', () => {
  assert(
    property(string({ unit: constantFrom(...ALPHABET) }), (text) => {
      try {
        const value = read(text);
        if (value.isMap()) value.entries();
        value.plain();
      } catch (error) {
        if (!(error instanceof LktError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

test('nearest corrects typos and does not guess', () => {
  expect(nearest('comand', ['command', 'env'])).toBe('command');
  expect(nearest('zzzzz', ['command', 'env'])).toBeUndefined();
});
