import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const COMMENT = /\/\*[^]*?\*\//g;
const DECLARATION =
  /^(.*)\nexport (?:async |abstract )?(?:function|class|interface|type|const) (\w+)/gm;

/** Returns the texts of the files that other packages import from a package. */
function entriesOf(directory: string): string {
  const { exports = {} } = JSON.parse(read(`${directory}/package.json`)) as {
    readonly exports?: object;
  };
  return Object.values(exports)
    .filter((path): path is string => typeof path === 'string' && path.endsWith('.ts'))
    .map((path) => read(join(directory, path)).replaceAll(COMMENT, ''))
    .join('\n');
}

test('what a package exports has a doc comment', () => {
  const without: string[] = [];
  let exported = 0;
  for (const directory of globSync('packages/*', { cwd: root })) {
    const names = new Set(entriesOf(directory).match(/\w+/g));
    for (const path of globSync(`${directory}/src/**/*.ts`, { cwd: root }))
      for (const [, before = '', name = ''] of read(path).matchAll(DECLARATION)) {
        if (!names.has(name)) continue;
        exported += 1;
        if (!before.endsWith('*/')) without.push(`${path}: ${name}`);
      }
  }
  expect(without).toEqual([]);
  expect(exported).toBeGreaterThan(500);
});
