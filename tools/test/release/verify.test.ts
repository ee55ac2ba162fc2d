import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemsOf } from '../../release/verify.ts';

const FILES = {
  'package.json': JSON.stringify({
    name: '@lkt/one',
    exports: { '.': { types: './lib/index.d.ts', default: './lib/index.js' } },
    dependencies: { '@lkt/two': '0.0.0', yaml: '1.0.0' },
  }),
  'README.md': '# one\n',
  LICENSE: 'text\n',
  'lib/index.js': "import 'yaml';\nimport 'node:fs';\nimport './other.js';\n",
  'lib/index.d.ts': "export type A = import('yaml').B;\n",
};

let directory = '';
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'lkt-verify-'))));
afterEach(() => rmSync(directory, { recursive: true }));

/** Returns the problems of the package with some files changed; undefined removes a file. */
function problems(changes: Readonly<Record<string, string | undefined>>): readonly string[] {
  const files = Object.entries({ ...FILES, ...changes }).filter(([, text]) => text !== undefined);
  for (const [path, text = ''] of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const staged = { name: '@lkt/one', directory, files: [/^lib\/.*\.(js|d\.ts|map|json)$/] };
  const paths = files.map(([path]) => path);
  return problemsOf(staged, paths, '/home/a/checkout', ['@lkt/one', '@lkt/two']);
}

test('finds nothing wrong with a library', () => {
  expect(problems({})).toEqual([]);
});

test.each([
  '.npmrc',
  '.tsbuild/index.d.ts',
  'build.tsbuildinfo',
  'lib/.env.json',
  'lib/index.js.map',
  'lib/index.test.js',
  'lib/node_modules/a/index.js',
  'lib/test/server.js',
  'other/index.js',
  'src/index.ts',
])('refuses %s', (path) => {
  expect(problems({ [path]: '' })).toEqual([`${path} should not be there`]);
});

describe('refuses a package', () => {
  test.each<[string, Readonly<Record<string, string | undefined>>, string]>([
    ['without a licence', { LICENSE: undefined }, 'LICENSE is missing'],
    [
      'without a file that it exports',
      { 'lib/index.d.ts': undefined },
      'package.json names ./lib/index.d.ts, which is missing',
    ],
    [
      'that names the checkout',
      { 'lib/a.js': '// /home/a/checkout/packages/a.ts\n' },
      'lib/a.js contains the path of the checkout',
    ],
    [
      'with the address of a source map',
      { 'lib/a.js': '//# sourceMappingURL=a.js.map\n' },
      'lib/a.js names a source map',
    ],
    [
      'that imports what it does not depend on',
      { 'lib/a.js': "const { b } = await import('semver/functions/gt.js');\n" },
      'lib/a.js imports semver, which package.json lacks',
    ],
    [
      'with types of what it does not depend on',
      { 'lib/a.d.ts': "export type A = import('@types/semver').B;\n" },
      'lib/a.d.ts imports @types/semver, which package.json lacks',
    ],
    [
      'that depends on a package of lkt that stays here',
      { 'package.json': FILES['package.json'].replace('@lkt/two', '@lkt/testing') },
      'depends on @lkt/testing, which is not published',
    ],
    [
      'of more than 10 MiB',
      { 'lib/a.json': ' '.repeat(10 * 2 ** 20) },
      expect.stringMatching(/^has \d+ bytes, more than 10485760$/) as string,
    ],
  ])('%s', (_, changes, problem) => {
    expect(problems(changes)).toEqual([problem]);
  });
});
