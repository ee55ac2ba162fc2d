import type { OwnCase } from '../own-case.ts';

const TREE = {
  foo: '1\n',
  'bar.o': '2\n',
  'bar.c': '3\n',
  'd/foo': '4\n',
  'd/bar.o': '5\n',
  'd/e/foo': '6\n',
  'd/e/bar.o': '7\n',
  'd/e/f/only.o': '8\n',
  'n/only.o': '9\n',
  '#x': '10\n',
  'a b': '11\n',
} as const;

/** A case that copies the context without what the patterns leave out. */
function ignoring(name: string, ...patterns: readonly string[]): OwnCase {
  return {
    name,
    dockerfile: ['FROM scratch', 'COPY . /c/'],
    context: { ...TREE, '.dockerignore': `${patterns.join('\n')}\n` },
  };
}

const emptied = (...paths: readonly string[]) =>
  ({ divergence: 'emptied directories', files: paths.map((path) => `c/${path}`) }) as const;

/** .dockerignore. */
export const IGNORE_CASES: readonly OwnCase[] = [
  ignoring('a name', 'foo'),
  ignoring('a name in a directory', 'd/foo'),
  ignoring('a name in any directory', '**/foo'),
  ignoring('a directory', 'd'),
  ignoring('a directory with a slash', 'd/'),
  ignoring('a leading slash', '/foo', '/d'),
  ignoring('a leading dot', './foo'),
  { ...ignoring('a pattern', '*.o') },
  { ...ignoring('a pattern in any directory', '**/*.o'), expect: emptied('d/e/f', 'n') },
  { ...ignoring('a pattern below a directory', 'd/**'), expect: emptied('d') },
  { ...ignoring('a pattern of one level', 'd/*'), expect: emptied('d') },
  { ...ignoring('all files of a directory by name', 'n/only.o'), expect: emptied('n') },
  ignoring('a name that is not there', 'zzz'),
  ignoring('an exception', '*.o', '!bar.o'),
  ignoring('an exception in an ignored directory', 'd', '!d/e/foo'),
  ignoring('an exception for a directory', 'd', '!d/e'),
  ignoring('an exception by pattern', 'd', '!**/foo'),
  ignoring('an exception by pattern below', 'd', '!d/**/foo'),
  ignoring('an exception that is ignored again', 'd', '!d/e', 'd/e/foo'),
  ignoring('everything but a directory', '*', '!d'),
  ignoring('everything but a file', '*', '!d/e/foo'),
  ignoring('everything but a file below any directory', '**', '!**/foo'),
  ignoring('everything but one kind', '**', '!**/*.c'),
  ignoring('everything but two', '*', '!foo', '!n'),
  ignoring('comments and blanks', '# no', '', '  foo  ', '#x'),
  ignoring('an escaped sign', '\\#x'),
  ignoring('a name with a blank', 'a b'),
  ignoring('a class', '[f]oo'),
  ignoring('a class without a letter that matches a slash', 'd[^a]foo'),
  ignoring('blanks before a slash', 'd /'),
  {
    ...ignoring('a caret before a wildcard', '^f*'),
    expect: { divergence: 'regular expressions in .dockerignore', files: ['c/foo'] },
  },
  {
    ...ignoring('a backslash before a letter', '\\wo\\w'),
    expect: { divergence: 'regular expressions in .dockerignore', files: ['c/foo'] },
  },
  {
    ...ignoring('an exception for the root', 'foo', '!/'),
    expect: { bothFail: /has no pattern/ },
  },
  ignoring('a question mark', 'ba?.c'),
  ignoring('two dots', 'd/../foo'),
  ignoring('above the context', '../foo'),
  ignoring('the Dockerfile and the file itself', 'Dockerfile', '.dockerignore'),
  ignoring('everything', '**'),
  { ...ignoring('an exception without a pattern', '!'), expect: { bothFail: /has no pattern/ } },
  { ...ignoring('an open class', '[a'), expect: { bothFail: /bad pattern/ } },
  {
    ...ignoring('a file that COPY names', 'foo'),
    dockerfile: ['FROM scratch', 'COPY foo /'],
    expect: { bothFail: /foo is not in the build context/ },
  },
  {
    ...ignoring('a file that a pattern of COPY matches', 'foo'),
    dockerfile: ['FROM scratch', 'COPY f* bar.c /x/'],
  },
  {
    ...ignoring('a file that a mount binds', 'foo'),
    dockerfile: ['FROM base', 'RUN --mount=target=/m ls /m /m/d > /list'],
  },
  {
    name: 'a file of the Dockerfile goes first',
    dockerfile: ['FROM scratch', 'COPY . /c/'],
    context: { ...TREE, '.dockerignore': 'd\n', 'Dockerfile.dockerignore': 'foo\n' },
  },
];
