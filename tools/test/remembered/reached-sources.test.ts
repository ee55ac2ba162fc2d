import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { commandSources, namesCommand } from '../../vitest/command-sources.ts';
import { isInput, testInputs } from '../../vitest/test-inputs.ts';

const root = mkdtempSync(join(tmpdir(), 'lkt-reached-'));
afterAll(() => rmSync(root, { recursive: true }));

function write(path: string, text = ''): string {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  return path;
}

write('packages/cli/package.json', '{ "dependencies": { "@lkt/lib": "0.0.0" } }');
write(
  'packages/cli/src/commands.ts',
  `const COMMANDS = {
  build: async () => (await import('./commands/build.ts')).Build,
  'pkg:sign': async () => (await import('./commands/pkg/sign.ts')).PkgSign,
  'trust:show': async () =>
    (await import('./commands/show.ts')).TrustShow,
};`,
);
write('packages/cli/src/main.ts', "import './commands.ts'; import './print.ts';");
write('packages/cli/src/print.ts');
write('packages/cli/src/commands/build.ts', "await import('../image.ts');");
write('packages/cli/src/commands/pkg/sign.ts', "import '../../signer.ts'; import '@lkt/lib/keys';");
write('packages/cli/src/commands/show.ts', "import '../signer.ts'; import '../print.ts';");
write('packages/cli/src/image.ts');
write('packages/cli/src/signer.ts');
write('packages/cli/src/by-path.ts');
write(
  'packages/lib/package.json',
  '{ "exports": { ".": "./src/index.ts", "./keys": "./src/keys.ts" } }',
);
write('packages/lib/src/index.ts');
write('packages/lib/src/keys.ts', "spawn(join(import.meta.dirname, 'worker.ts'));");
write(
  'packages/lib/src/worker.ts',
  `const boot = 'lkt/loader:${'0'.repeat(40)}@sha256:2';\n/** As lkt/web. */\nthrow 'use lkt/web';`,
);

for (const [path, image, text] of [
  ['pkg/init', 'init', 'COPY --from=lkt/compiler:1 / /'],
  ['pkg/ssh', 'sshd', 'replace lkt/keys => ../keys'],
  ['pkg/web', 'web', 'FROM lkt/compiler:1'],
  ['tools/gcc', 'compiler', ''],
  ['tools/loader', 'loader', ''],
] as const) {
  write(`${path}/build.yml`, `org: lkt\nimage: ${image}\n`);
  write(`${path}/Dockerfile`, text);
}
write('pkg/keys/keys.go');
write('examples/small.yml', 'init: [lkt/init:1@sha256:2]');
write('examples/group/web.yml', 'init: [lkt/web:1@sha256:2]');
write('examples/ssh.yml', 'init: [lkt/init:1@sha256:2]\nservices: [lkt/sshd:1@sha256:2]');
const helper = write(
  'tools/test/system/helpers/lkt.ts',
  "export const root = join(import.meta.dirname, '../../../..'); spawn(join(root, 'lkt'));",
);

const FILES = [
  'packages/cli/src/commands.ts',
  'packages/cli/src/commands/build.ts',
  'packages/cli/src/commands/pkg/sign.ts',
  'packages/cli/src/commands/show.ts',
  'packages/cli/src/image.ts',
  'packages/cli/src/print.ts',
  'packages/cli/src/signer.ts',
  'packages/cli/src/by-path.ts',
  'packages/lib/src/worker.ts',
  'pkg/init/Dockerfile',
  'pkg/keys/keys.go',
  'pkg/ssh/Dockerfile',
  'pkg/web/Dockerfile',
  'tools/gcc/Dockerfile',
  'examples/small.yml',
  'examples/ssh.yml',
  'examples/group/web.yml',
];

/** Returns those of the files that a test with a text does not read. */
function notRead(text: string): readonly string[] {
  const path = write(
    'tools/test/system/one.system.test.ts',
    `import { root } from './helpers/lkt.ts';\n${text}`,
  );
  const inputs = testInputs(root, path);
  for (const always of [
    helper,
    'pkg/web/build.yml',
    'pkg/ssh/build.yml',
    'tools/loader/Dockerfile',
  ])
    expect(isInput(always, inputs), always).toBe(true);
  return FILES.filter((file) => !isInput(file, inputs));
}

const SIGN = ['packages/cli/src/commands/pkg/sign.ts', 'packages/lib/src/worker.ts'];
const BUILD = 'packages/cli/src/commands/build.ts';
const SHOW = 'packages/cli/src/commands/show.ts';
const GROUP = 'examples/group/web.yml';
const SSH = ['pkg/keys/keys.go', 'pkg/ssh/Dockerfile'];

test.each([
  [
    'its command, and the example with its packages and their dependencies',
    "lkt(['build', 'examples/small.yml'])",
    [
      SIGN[0],
      SHOW,
      'packages/cli/src/signer.ts',
      SIGN[1],
      ...SSH,
      'pkg/web/Dockerfile',
      'examples/ssh.yml',
      GROUP,
    ],
  ],
  [
    'the example that a variable names',
    "lkt(['build', `examples/${name}.yml`]); for (const name of ['ssh'])",
    [
      SIGN[0],
      SHOW,
      'packages/cli/src/signer.ts',
      SIGN[1],
      'pkg/web/Dockerfile',
      'examples/small.yml',
      GROUP,
    ],
  ],
  [
    'what a command of two words loads',
    "lkt(['pkg', 'sign', 'pkg/ssh', 'small'])",
    [BUILD, SHOW, 'packages/cli/src/image.ts', 'pkg/web/Dockerfile', GROUP],
  ],
  [
    'a directory of examples, with the packages of its configs',
    "lkt(['build', 'examples/group/web.yml'])",
    [
      SIGN[0],
      SHOW,
      'packages/cli/src/signer.ts',
      SIGN[1],
      'pkg/init/Dockerfile',
      ...SSH,
      'examples/small.yml',
      'examples/ssh.yml',
    ],
  ],
  [
    'all packages, if it names their directory',
    "globSync('pkg/*'); lkt(['build'])",
    [SIGN[0], SHOW, 'packages/cli/src/signer.ts', SIGN[1]],
  ],
  [
    'all packages, if lkt does',
    "lkt(['graph', 'pkg/web'])",
    [
      'packages/cli/src/commands/build.ts',
      SIGN[0],
      SHOW,
      'packages/cli/src/image.ts',
      'packages/cli/src/signer.ts',
      SIGN[1],
    ],
  ],
])('reads only %s', (_, text, expected) => {
  expect(notRead(text)).toEqual(expected);
});

test('reads all commands for the help', () => {
  expect(notRead("lkt(['pkg', '--help']); globSync('examples/*.yml')")).toEqual([]);
});

test('tells which commands load a source, and no source that each of them loads', () => {
  expect(Object.fromEntries(commandSources(root))).toEqual({
    'packages/cli/src/commands/build.ts': new Set(['build']),
    'packages/cli/src/image.ts': new Set(['build']),
    'packages/cli/src/commands/pkg/sign.ts': new Set(['pkg:sign']),
    'packages/cli/src/signer.ts': new Set(['pkg:sign', 'trust:show']),
    'packages/lib/src/keys.ts': new Set(['pkg:sign']),
    'packages/lib/src/worker.ts': new Set(['pkg:sign']),
    'packages/cli/src/commands/show.ts': new Set(['trust:show']),
  });
});

test('a text names a command by all of its words', () => {
  expect(namesCommand("lkt(['trust', 'show'])", 'trust:show')).toBe(true);
  expect(namesCommand("lkt(['pkg', 'show-tag'])", 'trust:show')).toBe(false);
  expect(namesCommand('lkt([])', 'trust:show')).toBe(true);
});

test('finds all commands of this repository', () => {
  const checkout = join(import.meta.dirname, '../../..');
  const table = readFileSync(join(checkout, 'packages/cli/src/commands.ts'), 'utf8');
  const found = new Set([...commandSources(checkout).values()].flatMap((ids) => [...ids]));
  expect(found.size).toBeGreaterThan(50);
  expect(found.size).toBe(table.match(/await import\(/g)?.length);
});
