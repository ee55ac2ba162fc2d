import { readFileSync } from 'node:fs';
import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WordError } from '../src/evaluate/word-parser.ts';
import { expandWord, expandWords } from '../src/evaluate/words.ts';

// BuildKit's own corpus, from the Debian package golang-github-docker-docker-dev.
const CORPUS = '/usr/share/gocode/src/github.com/moby/buildkit/frontend/dockerfile/shell';

const lines = (name: string): readonly string[] =>
  readFileSync(`${CORPUS}/${name}`, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

const orError = <T>(run: () => T): T | 'error' => {
  try {
    return run();
  } catch (error) {
    if (error instanceof WordError) return 'error';
    throw error;
  }
};

describe("BuildKit's envVarTest", () => {
  const variables = new Map(
    Object.entries({ PWD: '/home', SHELL: 'bash', KOREAN: '한국어', NULL: '' }),
  );
  const rows = lines('envVarTest')
    .filter((line) => line.trim() !== '')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([platform]) => platform !== 'W');

  test('is complete', () => {
    expect(rows.length).toBe(228);
  });

  test.each(rows)('%s %s → %s', (_platform, input = '', expected = '') => {
    expect(orError(() => expandWord(input, { escape: '\\', variables }))).toBe(expected);
  });
});

test("BuildKit's wordsTest", () => {
  const variables = new Map<string, string>();
  let checked = 0;
  for (const line of lines('wordsTest')) {
    if (line.startsWith('ENV ')) {
      const [name = '', value = ''] = line.slice(4).trimStart().split('=');
      variables.set(name, value);
      continue;
    }
    const [input = '', expected = ''] = line.split('|');
    const words = orError(() => expandWords(input.trim(), { escape: '\\', variables }));
    expect(words === 'error' ? ['error'] : words, line).toEqual(
      expected.replace(/^ +/, '').split(','),
    );
    checked += 1;
  }
  expect(checked).toBe(24);
});

describe('patterns', () => {
  const cases: readonly (readonly [string, Record<string, string>, string])[] = [
    ['${s#f*b}', { s: 'foobarbaz' }, 'arbaz'],
    ['${s##f*b}', { s: 'foobarbaz' }, 'az'],
    ['${s%b*}', { s: 'foobarbaz' }, 'foobar'],
    ['${s%%b*}', { s: 'foobarbaz' }, 'foo'],
    ['${s/ba/fo}', { s: 'foobarbaz' }, 'fooforbaz'],
    ['${s//ba/fo}', { s: 'foobarbaz' }, 'fooforfoz'],
    ['${s#()[]{\\}^$.\\*\\?|\\\\}', { s: '()[]{}^$.*?|\\x' }, 'x'],
    ['${s%%\\**}', { s: 'xx**' }, 'xx'],
    ['${s%%\\**\\*}', { s: 'a***yy*' }, 'a'],
    ['${s#*x*y}', { s: 'xxyy' }, 'y'],
    ['${s##*x}', { s: 'xxyy' }, 'yy'],
    ['${s#?\\?}', { s: '???y' }, '?y'],
    ['${a:-.}${s%x}${a:-.}', { s: 'xxyy' }, '.xxyy.'],
    ['${s/$n/.} - ${s//$n/.}', { s: '/foo*/*/*.txt', n: '\\*/' }, '/foo.*/*.txt - /foo..*.txt'],
    ['${s/$n/} - ${s//$n/}', { s: '/tmp/tmp/bar.txt', n: '/tmp' }, '/tmp/bar.txt - /bar.txt'],
    [
      '${s/$n/$r} - ${s//$n/$r}',
      { s: '/a/foo/b/c.txt', n: '/?/', r: '/' },
      '/foo/b/c.txt - /foo/c.txt',
    ],
    ['${s/$n/$r}', { s: 'http://x.de', n: 'http://', r: 'https://' }, 'https://x.de'],
    ['${s//\\//\\/}', { s: '/tmp/foo.txt' }, '\\/tmp\\/foo.txt'],
    ['${s%👽}', { s: '🚀👽' }, '🚀'],
    ['${s#x}', {}, ''],
    ['${s///x}', { s: 'abc' }, 'xaxbxcx'],
    ['${s//*/x}${e//*/x}${s/$e/x}', { s: 'abc', e: '' }, 'xxxabc'],
    ['${s/a}/x}', { s: 'a}b' }, 'xb'],
  ];

  test.each(cases)('%s with %j → %s', (input, values, expected) => {
    expect(expandWord(input, { escape: '\\', variables: new Map(Object.entries(values)) })).toBe(
      expected,
    );
  });

  // Backtracking would exceed the time-out.
  test('matches a pattern with many stars in linear time', () => {
    const variables = new Map([['s', 'a'.repeat(20_000)]]);
    const pattern = `\${s%%${'*a'.repeat(20)}b}`;
    expect(expandWord(pattern, { escape: '\\', variables })).toBe('a'.repeat(20_000));
  });
});

test('expands the message of ${name:?message}', () => {
  const variables = new Map([['ARG', 'x']]);
  const run = () => expandWord('${VAR:?message here$ARG}', { escape: '\\', variables });
  expect(run).toThrow('VAR: message herex');
});

test('supports another escape character', () => {
  const variables = new Map([['A', 'x']]);
  expect(expandWord('c:\\$A`$A"`$A\\"', { escape: '`', variables })).toBe('c:\\x$A$A\\');
});

test('keeps quotes but not escapes in here-documents', () => {
  const options = { escape: '\\', variables: new Map([['A', 'x y']]), keepQuotes: true };
  expect(expandWord("\"$A\" '$A' it's \\$A \\\\ \\\n", options)).toBe(
    "\"x y\" 'x y' it's $A \\ \n",
  );
});

test('reports used and unset names', () => {
  const used: string[] = [];
  const unset: string[] = [];
  expandWord('$A ${B:-x} ${C} ${D%x}', {
    escape: '\\',
    variables: new Map([['A', '1']]),
    onUse: (name) => used.push(name),
    onUnset: (name) => unset.push(name),
  });
  expect(used).toEqual(['A', 'B', 'C', 'D']);
  expect(unset).toEqual(['C', 'D']);
});

test('rejects expanded text over 1 MiB', () => {
  const variables = new Map([['A', 'x'.repeat(600_000)]]);
  expect(() => expandWord('$A$A', { escape: '\\', variables })).toThrow('longer than 1 MiB');
});

test('rejects deep nesting', () => {
  const deep = `${'${a:-'.repeat(1000)}x${'}'.repeat(1000)}`;
  expect(() => expandWord(deep, { escape: '\\', variables: new Map() })).toThrow(WordError);
});

test('returns a value or a WordError inside the text for any text', () => {
  const text = string({ unit: constantFrom(...Array.from('ab $ {}:-+?#%/\\\'"*[]\n\té')) });
  assert(
    property(text, text, (word, value) => {
      const variables = new Map([['a', value]]);
      for (const run of [expandWord, expandWords]) {
        try {
          run(word, { escape: '\\', variables });
        } catch (error) {
          expect(error).toBeInstanceOf(WordError);
          expect((error as WordError).index).toBeLessThanOrEqual(word.length);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('keeps text without special characters', () => {
  const plain = string({ unit: constantFrom(...Array.from('abc.:/=-é')) });
  assert(
    property(plain, (word) => {
      expect(expandWord(word, { escape: '\\', variables: new Map() })).toBe(word);
    }),
  );
});
