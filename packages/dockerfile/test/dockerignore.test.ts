import { LktError } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { IgnorePatterns, parseDockerignore, withoutIgnored } from '../src/copy/dockerignore.ts';

describe('patterns', () => {
  const cases: readonly (readonly [readonly string[], string, boolean])[] = [
    [[], 'a', false],
    [['a'], 'a', true],
    [['a'], 'a/b/c', true],
    [['a'], 'ab', false],
    [['a'], 'x/a', false],
    [['/a/'], 'a', true],
    [['./a'], 'a', true],
    [['a/../b'], 'b', true],
    [['*.md'], 'README.md', true],
    [['*.md'], 'docs/README.md', false],
    [['*/*.md'], 'docs/README.md', true],
    [['*'], '.hidden', true],
    [['a?'], 'ab', true],
    [['a?'], 'a/', false],
    [['[a-c]x'], 'bx', true],
    [['[^a]x'], 'ax', false],
    [['**/a'], 'a', true],
    [['**/a'], 'x/y/a', true],
    [['**/a'], 'xa', false],
    [['**'], 'x/y', true],
    [['a/**'], 'a/b', true],
    [['a/**'], 'a', false],
    [['a/**/b'], 'a/b', true],
    [['a/**/b'], 'a/x/y/b', true],
    [['**.go'], 'x/y.go', true],
    [['**/*.go'], 'y.go', true],
    [['*', '!a'], 'a', false],
    [['*', '!a'], 'a/b', false],
    [['*', '!a', 'a/b'], 'a/b', true],
    [['!a', '*'], 'a', true],
    [['a', '!a/b'], 'a/b', false],
    [['a', '!a/b'], 'a/c', true],
    [['\\!a'], '!a', true],
    [['a\\*'], 'a*', true],
    [['a\\*'], 'ab', false],
    [['.'], 'a', false],
    [['Dockerfile', '.dockerignore'], '.dockerignore', true],
  ];

  test.each(cases)('%j excludes %s: %s', (patterns, path, expected) => {
    expect(new IgnorePatterns(patterns).ignores(path)).toBe(expected);
  });
});

test('reads comments, blanks and a byte order mark', () => {
  const patterns = parseDockerignore({
    path: '.dockerignore',
    text: '\uFEFF# comment\r\n\r\n  *.o  \n! keep.o\n#also\n',
  });
  expect(['x.o', 'keep.o', '#also', 'y'].map((path) => patterns.ignores(path))).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test.each([
  ['a\n [x', '.dockerignore:2:2: bad pattern: a character class in the pattern has no "]"'],
  ['!', '.dockerignore:1:1: bad pattern: "!" has no pattern'],
  ['a\\', '.dockerignore:1:1: bad pattern: the pattern ends in an escape character'],
])('rejects %j', (text, message) => {
  const run = (): unknown => parseDockerignore({ path: '.dockerignore', text });
  expect(run).toThrow(LktError);
  expect(run).toThrow(message);
});

describe('choice of the ignore file', () => {
  const files = ['Dockerfile', '.dockerignore', 'Other.dockerignore', 'a', 'b'].map((path) => ({
    path,
  }));
  const left = async (dockerfile: string): Promise<readonly string[]> => {
    const kept = await withoutIgnored(files, dockerfile, ({ path }) =>
      Promise.resolve(path === '.dockerignore' ? 'a\n.dockerignore' : 'b\n*ockerfile'),
    );
    return kept.map(({ path }) => path);
  };

  test('uses .dockerignore', async () => {
    expect(await left('Dockerfile')).toEqual(['Dockerfile', 'Other.dockerignore', 'b']);
  });

  test('prefers <Dockerfile>.dockerignore', async () => {
    expect(await left('Other')).toEqual(['.dockerignore', 'Other.dockerignore', 'a']);
  });
});
