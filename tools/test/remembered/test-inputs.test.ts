import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { isInput, testInputs } from '../../vitest/test-inputs.ts';

const root = mkdtempSync(join(tmpdir(), 'lkt-inputs-'));
afterAll(() => rmSync(root, { recursive: true }));

function write(path: string, text = ''): string {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  return path;
}

write('packages/base/package.json', '{}');
write('packages/peers/package.json', '{}');
write('packages/upper/package.json', '{ "dependencies": { "@lkt/base": "0.0.0" } }');
write('packages/other/package.json', '{}');
write('packages/other/test/fixture.ts', "import { helper } from '@lkt/peers';");
write('docs/guide.md');
write('docs/guides/one.md');
write('tools/text.ts', "export * from './more.ts';");
write('tools/more.ts');

/** Returns the inputs of a test of the package `upper`. */
function inputsOf(text: string): readonly string[] {
  return testInputs(root, write('packages/upper/test/a/one.integration.test.ts', text));
}

const OWN = ['package.json', 'package-lock.json', 'packages/base/', 'packages/upper/'];
const TESTS = 'packages/upper/test/';
const here = 'join(import.meta.dirname, ';

test.each([
  ['its package and those that it imports', "import { main } from '../../src/main.ts';", []],
  [
    'a package that is imported only by the test',
    "import { a } from '@lkt/peers';",
    ['packages/peers/'],
  ],
  [
    "another package's helper, and what that imports",
    "import { fixture } from '../../../other/test/fixture.ts';",
    ['packages/other/', 'packages/other/test/', 'packages/peers/'],
  ],
  ['a named document', `${here}'../../../../docs/guide.md')`, ['docs/guide.md']],
  [
    'a directory whose files are named by a variable',
    `${here}\`../../../../docs/guides/\${x}\`)`,
    ['docs/guides/'],
  ],
  ['a file whose name begins so', `${here}\`../../../../docs/gu\${x}\`)`, ['docs/']],
  [
    'programs of tools, and what those import',
    "import '../../../../tools/text.ts';",
    ['tools/more.ts', 'tools/text.ts'],
  ],
  [
    'programs that make the build',
    `${here}'../../../../dist/lkt.cjs')`,
    ['dist/lkt.cjs', 'tools/build/'],
  ],
  [
    'no text that only looks like a path',
    "header({ link: '../../etc/passwd', to: '../../../..' })",
    [],
  ],
  ['nothing outside of the checkout', `${here}'../../../../../shared/vectors')`, []],
])('a test reads %s', (_, text, more) => {
  write('dist/lkt.cjs');
  write('tools/build/main.ts');
  expect(inputsOf(text)).toEqual([...OWN, TESTS, ...more].toSorted());
});

test.each([
  ['the top directory', `const root = ${here}'../../../..');`],
  ['all packages', `const root = ${here}'../../..');`],
  ['what is not there yet, beside them', `${here}'../../../../none')`],
])('a test that names %s reads all', (_, text) => {
  expect(inputsOf(text)).toEqual(['']);
});

test('tests of other packages are no inputs, unless a helper there is used', () => {
  const inputs = inputsOf("import { fixture } from '../../../other/test/fixture.ts';");
  const reads = (path: string): boolean => isInput(path, inputs);
  expect(reads('packages/upper/test/b.txt')).toBe(true);
  expect(reads('packages/other/test/b.txt')).toBe(true);
  expect(reads('packages/base/src/a.ts')).toBe(true);
  expect(reads('packages/base/test/b.txt')).toBe(false);
  expect(reads('packages/peers/test/b.txt')).toBe(false);
  expect(reads('packages/basement/src/a.ts')).toBe(false);
  expect(reads('docs/guide.md')).toBe(false);
  expect(isInput('docs/guide.md', [''])).toBe(true);
});
