import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Inputs, isInput, testInputs } from '../../vitest/test-inputs.ts';

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
function inputsOf(text: string): Inputs {
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
  expect(inputsOf(text)).toEqual({ paths: [...OWN, TESTS, ...more].toSorted(), except: [] });
});

test.each([
  ['the top directory', `const root = ${here}'../../../..');`],
  ['all packages', `const root = ${here}'../../..');`],
  ['what is not there yet, beside them', `${here}'../../../../none')`],
])('a test that names %s reads all', (_, text) => {
  const inputs = inputsOf(text);
  for (const path of ['docs/guide.md', 'packages/base/test/b.txt', 'README.md'])
    expect(isInput(path, inputs)).toBe(true);
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
});

test.each([
  [
    'boot',
    ['examples/a.yml', 'pkg/init/main.go', 'packages/base/src/a.ts', 'tools/puppet/main.go'],
  ],
  ["boot; read('docs/guide.md')", ['docs/guide.md', 'SECURITY.md']],
  ["boot; lkt(['fleet'])", ['packages/fleet/src/a.ts', 'packages/cli/src/commands/fleet/a.ts']],
  ["boot; read('projects/a')", ['projects/a.yml', 'projects/a/b/Dockerfile']],
  ['boot\n// docs/guide.md\n', []],
])('a test with a machine, %s, reads only what it names', (text, named) => {
  const helper = `export const root = ${here}'../../../..'); spawn(join(root, 'lkt'));`;
  write('tools/test/system/helpers/lkt.ts', helper);
  const path = 'tools/test/system/one.system.test.ts';
  write(path, `import { boot } from './helpers/lkt.ts'; ${text}`);
  const inputs = testInputs(root, path);
  const others = [
    'docs/guide.md',
    'SECURITY.md',
    'projects/a.yml',
    'projects/a/b/Dockerfile',
    'tools/bench/a.ts',
    'tools/release/a.ts',
    'packages/fleet/src/a.ts',
    'packages/cli/src/commands/fleet/a.ts',
    'packages/base/test/a.ts',
    'packages/nx-plugin/src/a.ts',
    'tools/test/system/two.system.test.ts',
  ];
  const read = ['lkt', 'package-lock.json', 'tools/test/system/attack.json'];
  for (const file of [path, ...read, 'projects/a/b/build.yml', ...named])
    expect(isInput(file, inputs), file).toBe(true);
  for (const file of others.filter((one) => !named.includes(one)))
    expect(isInput(file, inputs), file).toBe(false);
});

test('composed images stand for the code that composes them in a test with a machine', () => {
  write('tools/test/system/helpers/lkt.ts', `export const root = ${here}'../../../..');`);
  const inputsIn = (path: string): Inputs =>
    testInputs(root, write(path, "import { root } from './helpers/lkt.ts';"));
  const { composers } = inputsIn('tools/test/system/boot.system.test.ts');
  const composing = [
    'packages/builder/src/a.ts',
    'packages/cli/src/commands/build.ts',
    'packages/image/src/a.ts',
  ];
  const direct = [
    'examples/a.yml',
    'package-lock.json',
    'packages/cli/src/commands/run.ts',
    'packages/cli/src/fleet/a.ts',
    'packages/cli/src/machines/a.ts',
    'packages/formats/src/a.ts',
    'packages/machine/src/a.ts',
    'pkg/init/main.go',
    'tools/puppet/main.go',
  ];
  expect(composing.filter((path) => composers?.test(path) !== true)).toEqual([]);
  expect(direct.filter((path) => composers?.test(path) === true)).toEqual([]);
  expect(inputsIn('tools/test/system/check.system.test.ts').composers).toBeUndefined();
});

test('a test of a program alone reads no package', () => {
  write('tools/test/program.ts', `const top = ${here}'../..');`);
  const path = write('tools/test/dhcp.system.test.ts', "import { build } from './program.ts';");
  const inputs = testInputs(root, path);
  expect(isInput('pkg/dhcp/main.go', inputs)).toBe(true);
  expect(isInput('packages/base/src/a.ts', inputs)).toBe(false);
});

const checkout = join(import.meta.dirname, '../../..');

test('few tests of this repository repeat after a change of any file', () => {
  const tests = globSync('{packages/*,tools}/test/**/*.{integration,system}.test.ts', {
    cwd: checkout,
  });
  const repeated = tests.filter((path) => isInput('docs/any.md', testInputs(checkout, path)));
  expect(repeated).toContain('tools/test/site.integration.test.ts');
  // A test that names the top directory counts: let it name the files that it reads.
  expect(repeated.length, repeated.join('\n')).toBeLessThan(16);
});

const commands = join(checkout, 'packages/cli/src/commands');

// Tests with machines do without these sources, unless they name them.
test.each(
  globSync('**/*.ts', { cwd: commands }).filter((name) => !/^(?:fleet\/|schema\.ts$)/.test(name)),
)('lkt %s loads no code of fleets', (name) => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    expect(file).not.toMatch(/\/cli\/src\/(?:commands\/)?fleet\//);
    const text = readFileSync(file, 'utf8');
    expect(text, file).not.toMatch(/['"]@lkt\/fleet\b/);
    for (const [, next = ''] of text.matchAll(/\b(?:from |import\()['"](\.[^'"\s]*\.ts)['"]/g))
      visit(join(dirname(file), next));
  };
  visit(join(commands, name));
  expect(seen.size).toBeGreaterThan(1);
});
