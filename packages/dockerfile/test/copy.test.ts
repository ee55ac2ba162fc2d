import { LktError } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { type CopyPlan, planCopy } from '../src/copy/copy.ts';
import type { SourceNode, SourceTree } from '../src/copy/source-tree.ts';
import { evaluate } from '../src/evaluate/evaluate.ts';
import { parseDockerfile } from '../src/parse/parse.ts';

/** Returns a tree with these paths: `dir/file`, `dir/` for an empty directory, `link -> target`. */
function treeOf(paths: readonly string[]): SourceTree {
  const nodes = new Map<string, SourceNode>([['', { type: 'directory' }]]);
  const addDirectories = (path: string): void => {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      nodes.set(path.slice(0, slash), { type: 'directory' });
    }
  };
  for (const written of paths) {
    const [path = '', link] = written.split(' -> ');
    addDirectories(path);
    if (!path.endsWith('/')) {
      nodes.set(path, link === undefined ? { type: 'file' } : { type: 'symlink', link });
    }
  }
  return {
    node: (path) => nodes.get(path),
    names: (path) =>
      [...nodes.keys()]
        .filter((key) => key !== '' && key.slice(0, Math.max(0, key.lastIndexOf('/'))) === path)
        .map((key) => key.slice(key.lastIndexOf('/') + 1))
        .toSorted(),
  };
}

function plan(
  copy: string,
  paths: readonly string[],
  directories: readonly string[] = [],
): CopyPlan {
  const file = { path: 'Dockerfile', text: `FROM scratch\n${copy}\n` };
  const { stages } = evaluate(parseDockerfile(file), {
    buildArgs: new Map(),
    platform: { os: 'linux', architecture: 'amd64' },
    imageConfig: () => undefined,
  });
  const step = stages[0]?.steps.at(-1);
  if (step?.kind !== 'copy' && step?.kind !== 'add') throw new Error('no COPY');
  const isDirectory = (path: string): boolean => directories.includes(path);
  return planCopy(step, treeOf(paths), { file, isDirectory });
}

/** Formats entries as `source > target`, directories with a trailing slash. */
const show = ({ entries }: CopyPlan): readonly string[] =>
  entries.map(({ source, target, type }) =>
    type === 'directory' ? `${source}/ > ${target}/` : `${source} > ${target}`,
  );

const GO = ['foo.go', 'bar.go', 'sub/dir1/dir2/foo'];

describe('entries of a COPY', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['COPY foo.go /x', GO, ['foo.go > x']],
    ['COPY foo.go /x/', GO, ['foo.go > x/foo.go']],
    ['COPY foo.go /', GO, ['foo.go > foo.go']],
    ['COPY foo.go .', GO, ['foo.go > foo.go']],
    ['COPY foo.go bar.go /x/', GO, ['bar.go > x/bar.go', 'foo.go > x/foo.go']],
    ['COPY *.go /x/', GO, ['bar.go > x/bar.go', 'foo.go > x/foo.go']],
    ['COPY f*.go /x', GO, ['foo.go > x']],
    [
      'COPY sub /x',
      GO,
      [
        'sub/dir1/ > x/dir1/',
        'sub/dir1/dir2/ > x/dir1/dir2/',
        'sub/dir1/dir2/foo > x/dir1/dir2/foo',
      ],
    ],
    ['COPY sub/* /x/', GO, ['sub/dir1/dir2/ > x/dir2/', 'sub/dir1/dir2/foo > x/dir2/foo']],
    ['COPY sub/*/dir2/foo /x/', GO, ['sub/dir1/dir2/foo > x/foo']],
    ['COPY sub/dir1/. /x', GO, ['sub/dir1/dir2/ > x/dir2/', 'sub/dir1/dir2/foo > x/dir2/foo']],
    ['COPY /sub/dir1/ /x', GO, ['sub/dir1/dir2/ > x/dir2/', 'sub/dir1/dir2/foo > x/dir2/foo']],
    ['COPY foo.go nomatch* /x/', GO, ['foo.go > x/foo.go']],
    ['COPY . /', ['.a', 'b'], ['.a > .a', 'b > b']],
    ['COPY arr[[]0].txt /x/', ['arr[0].txt', 'arr0.txt'], ['arr[0].txt > x/arr[0].txt']],
    ['COPY [a-b]? /x/', ['a1', 'b2', 'c3', 'a'], ['a1 > x/a1', 'b2 > x/b2']],
    [
      'COPY é* /x/',
      ['\u00C3\u00A9t\u00C3\u00A9'],
      ['\u00C3\u00A9t\u00C3\u00A9 > x/\u00C3\u00A9t\u00C3\u00A9'],
    ],
    ['COPY ["a b", "/x/"]', ['a b'], ['a b > x/a b']],
    // A later source wins.
    ['COPY a/f b/f /x/', ['a/f', 'b/f'], ['b/f > x/f']],
    // Symlinks that match a source are followed; symlinks below a source are kept.
    ['COPY link /x', ['bar', 'link -> bar'], ['bar > x']],
    ['COPY link /x/', ['bar', 'link -> bar'], ['bar > x/link']],
    ['COPY d/l* /x/', ['d/l1 -> two', 'd/two -> end', 'd/end'], ['d/end > x/l1']],
    ['COPY d /x', ['d/l -> two', 'd/two'], ['d/l > x/l', 'd/two > x/two']],
    ['COPY l/f /x', ['d/f', 'l -> d'], ['d/f > x']],
    ['COPY l /x', ['d/f', 'l -> /d'], ['d/f > x/f']],
    ['COPY d/l /x', ['e', 'd/e', 'd/l -> /e'], ['e > x']],
    ['COPY l /x', ['f', 'l -> ../../../f'], ['f > x']],
    ['COPY l* /x/', ['l1', 'l2'], ['l1 > x/l1', 'l2 > x/l2']],
    // --exclude matches the path below the source.
    ['COPY --exclude=*/*.png . /x', ['d/a.png', 'd/b.txt'], ['d/ > x/d/', 'd/b.txt > x/d/b.txt']],
    ['COPY --exclude=*.png d* /x/', ['d1/a.png', 'd2/b.txt'], ['d2/b.txt > x/b.txt']],
    ['COPY --exclude=*.txt hom* /x/', ['home', 'home.txt'], ['home > x/home']],
    ['COPY --exclude=* d /x', ['d/a', 'd/b/c'], []],
    [
      'COPY --exclude=* --exclude=!b/c d /x',
      ['d/a', 'd/b/c', 'd/b/d'],
      ['d/b/ > x/b/', 'd/b/c > x/b/c'],
    ],
    // --parents
    [
      'COPY --parents x/a.txt y/a.txt /p/',
      ['x/a.txt', 'y/a.txt'],
      ['x/ > p/x/', 'x/a.txt > p/x/a.txt', 'y/ > p/y/', 'y/a.txt > p/y/a.txt'],
    ],
    [
      'COPY --parents x/./y/*.txt /p/',
      ['x/y/a.txt', 'x/y/b.txt'],
      ['x/y/ > p/y/', 'x/y/a.txt > p/y/a.txt', 'x/y/b.txt > p/y/b.txt'],
    ],
    [
      'COPY --parents a/b*/./c/**/e /o/',
      ['a/b/c/d/e/y', 'a/b2/c/d/e/r'],
      [
        'a/b2/c/ > o/c/',
        'a/b2/c/d/ > o/c/d/',
        'a/b2/c/d/e/ > o/c/d/e/',
        'a/b2/c/d/e/r > o/c/d/e/r',
        'a/b/c/d/e/y > o/c/d/e/y',
      ],
    ],
    ['COPY --parents d /o/', ['d/e/f'], ['d/ > o/d/', 'd/e/ > o/d/e/', 'd/e/f > o/d/e/f']],
  ];

  test.each(cases)('%s of %j', (copy, paths, expected) => {
    expect(show(plan(copy, paths))).toEqual(expected);
  });
});

test('copies into an existing directory', () => {
  expect(show(plan('COPY f /tmp', ['f'], ['tmp']))).toEqual(['f > tmp/f']);
  expect(show(plan('COPY d /tmp', ['d/f'], ['tmp']))).toEqual(['d/f > tmp/f']);
});

test('creates missing parent directories', () => {
  expect(plan('COPY f /a/b/c', ['f']).directories).toEqual(['a', 'a/b']);
  expect(plan('COPY f /a/b/c/', ['f']).directories).toEqual(['a', 'a/b', 'a/b/c']);
  expect(plan('COPY d /a/b', ['d/x/y']).directories).toEqual(['a', 'a/b']);
  expect(plan('COPY . /', ['x/y']).directories).toEqual([]);
});

test('plans here-documents as files', () => {
  expect(plan('COPY <<a /x\nhello\na', [])).toEqual({
    entries: [],
    files: [{ target: 'x', content: 'hello\n' }],
    directories: [],
  });
  expect(plan('COPY <<a f <<b /x/\n1\na\n2\nb', ['f'])).toEqual({
    entries: [{ source: 'f', target: 'x/f', type: 'file', isNamed: true }],
    files: [
      { target: 'x/a', content: '1\n' },
      { target: 'x/b', content: '2\n' },
    ],
    directories: ['x'],
  });
});

test('replaces a file by a here-document of the same name', () => {
  expect(plan('COPY f g <<f /x/\n1\nf', ['f', 'g'])).toMatchObject({
    entries: [{ target: 'x/g' }],
    files: [{ target: 'x/f', content: '1\n' }],
  });
});

describe('rejected sources', () => {
  const cases: readonly (readonly [string, readonly string[], string, string | undefined])[] = [
    [
      'COPY missing /x',
      ['a'],
      'Dockerfile:2:6: missing is not in the build context',
      'check the path, and whether .dockerignore excludes it',
    ],
    [
      'COPY src/mian.c /x',
      ['src/main.c'],
      'Dockerfile:2:6: src/mian.c is not in the build context',
      'did you mean src/main.c?',
    ],
    ['COPY a/f /x', ['a'], 'Dockerfile:2:6: a/f is not in the build context', undefined],
    [
      'COPY *.c /x',
      ['a.c', 'b.c'],
      'Dockerfile:2:6: *.c matches 2 files, but /x is not a directory',
      'end the destination with a slash: /x/',
    ],
    [
      'COPY l* /x/',
      ['l1 -> gone', 'l2'],
      'Dockerfile:2:6: l1 is a dangling symlink in the build context',
      undefined,
    ],
    [
      'COPY l /x',
      ['l -> gone'],
      'Dockerfile:2:6: l is a dangling symlink in the build context',
      undefined,
    ],
    [
      'COPY l /x',
      ['l -> l'],
      'Dockerfile:2:6: l is a dangling symlink in the build context',
      undefined,
    ],
    [
      'COPY l /x',
      ['l -> /etc/passwd'],
      'Dockerfile:2:6: l is a dangling symlink in the build context',
      undefined,
    ],
    [
      'COPY [a /x',
      ['a'],
      'Dockerfile:2:6: bad pattern: a character class in the pattern has no "]"',
      undefined,
    ],
    [
      'COPY --exclude=[a . /x',
      ['a'],
      'Dockerfile:2:6: bad pattern: a character class in the pattern has no "]"',
      undefined,
    ],
    [
      'COPY a b /x/',
      ['a/f', 'b/f/g'],
      'Dockerfile:2:1: x/f is a directory in one source but not in another',
      undefined,
    ],
  ];

  test.each(cases)('%s of %j', (copy, paths, message, fix) => {
    const run = (): unknown => plan(copy, paths);
    expect(run).toThrow(LktError);
    expect(run).toThrow(message);
    if (fix !== undefined) expect(run).toThrow(expect.objectContaining({ fix }));
  });
});

test('lists parents before children, and each target once', () => {
  const { entries } = plan('COPY a b /x/', ['a/d/f', 'a/d-e', 'a/d/a', 'b/d/f', 'b/c']);
  const targets = entries.map(({ target }) => target);
  expect(new Set(targets).size).toBe(targets.length);
  expect(targets).toEqual(targets.toSorted());
  expect(targets).toContain('x/d');
});
