import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseArchive, runArchive } from '../../../tools/testscript.ts';
import type { BundleRecord } from '../src/bundle/find.ts';

const root = join(import.meta.dirname, '../../..');
const checkout = mkdtempSync(join(tmpdir(), 'lkt-checkout-'));
const cache = join(checkout, 'node_modules/.cache/lkt');

/** A copy of the checkout, whose files are old enough to be settled, with a bundle. */
beforeAll(async () => {
  for (const path of ['package.json', 'packages', 'node_modules/@lkt'])
    cpSync(join(root, path), join(checkout, path), { recursive: true, verbatimSymlinks: true });
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name === '@lkt' || name === '.cache') continue;
    symlinkSync(join(root, 'node_modules', name), join(checkout, 'node_modules', name));
  }
  await setTimeout(2500);
  expect(run('packages/cli/src/bundle/make.ts')).toMatchObject({ status: 0, stderr: '' });
});
// What makes bundles may still be at it.
afterAll(() => rmSync(checkout, { recursive: true, maxRetries: 10 }));

function run(script: string, ...words: readonly string[]): object {
  const done = spawnSync(process.execPath, [join(checkout, script), ...words], {
    cwd: join(root, 'pkg'),
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      LKT_CACHE: join(checkout, 'store'),
      NO_COLOR: '1',
    },
  });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

const main = (): string => {
  const { directory } = JSON.parse(
    readFileSync(join(cache, 'bundle.json'), 'utf8'),
  ) as BundleRecord;
  return join(cache, directory, 'main.cjs');
};

test.each([
  '',
  '--help',
  '--version',
  'pkg',
  'pkg build --help',
  'help run',
  'rum',
  'version --json',
  'version 1',
  'completion zsh',
  'run x --mem y --json',
  'build nothing.yml',
  'build --o a.tar --dir b x.yml',
  'pkg show-tag sshd',
  'pkg build --builder tcp ../tools/debian',
  'cache ls',
  'env --nonsense',
])('lkt %s: the same from the bundle and from the sources', (line) => {
  const words = line.split(' ').filter((word) => word !== '');
  const fromSources = run('packages/cli/src/main.ts', ...words);
  expect(run('packages/cli/src/start.ts', ...words)).toEqual(fromSources);
});

test('the programs of a build are in it, and wait for nothing that they do not need to begin', () => {
  const names = readdirSync(join(main(), '..'));
  expect(names).toContain('worker.cjs');
  expect(names).toContain('init.cjs');
  const text = (name: string): string => readFileSync(join(main(), '..', name), 'utf8');
  expect(text('init.cjs')).not.toMatch(/require\("(\.\/|koffi|node:crypto)|undici/);
  // The rest is imported when an init has been started.
  expect(text('worker.cjs')).not.toMatch(
    /^\S.*require\("(\.\/(?!part-rolldown-runtime)|koffi|node:(crypto|zlib))|undici/m,
  );
});

test.each(['dockerfile-errors', 'pkg-build', 'pkg-build-check', 'image-attestations'])(
  '%s.txtar, from the bundle',
  async (name) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-script-'));
    const text = readFileSync(join(import.meta.dirname, `script/${name}.txtar`), 'utf8');
    await runArchive(parseArchive(text), {
      dir: dir.path,
      commands: { lkt: [process.execPath, join(checkout, 'packages/cli/src/start.ts')] },
      env: {
        PATH: process.env['PATH'] ?? '',
        NO_COLOR: '1',
        LC_ALL: 'C.UTF-8',
        LKT_CACHE: join(dir.path, '.store'),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'A',
        GIT_AUTHOR_EMAIL: 'a@example.com',
        GIT_COMMITTER_NAME: 'A',
        GIT_COMMITTER_EMAIL: 'a@example.com',
      },
    });
  },
);

test('what a command has compiled it does not compile again', () => {
  const log = join(checkout, 'functions.log');
  // The log has a line for every function that is compiled, and for every script its name.
  const compiled = (): number => {
    const flags = ['--log-function-events', `--logfile=${log}`, '--no-logfile-per-isolate'];
    const { status, stdout } = spawnSync(
      process.execPath,
      [...flags, join(checkout, 'packages/cli/src/start.ts'), 'env', '--json'],
      {
        encoding: 'utf8',
        env: { HOME: '/nonexistent', NODE_COMPILE_CACHE: join(checkout, 'compiled') },
      },
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty('settings');
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .map((line) => line.split(','));
    const ours = new Set(
      lines
        .filter(([kind, , name]) => kind === 'script-details' && name?.startsWith(cache) === true)
        .map(([, script]) => script),
    );
    const isOurs = ([kind, event, script]: readonly string[]): boolean =>
      kind === 'function' && event === 'interpreter' && ours.has(script);
    return lines.filter(isOurs).length;
  };
  const first = compiled();
  // What loads the program is compiled by Node.
  expect(compiled()).toBeLessThan(first / 4);
});

test('what a file does when it is loaded is compiled once, although it is done once in each process', () => {
  const directory = join(checkout, 'programs');
  mkdirSync(directory);
  cpSync(join(main(), '../run.cjs'), join(directory, 'run.cjs'));
  const statements = Array.from({ length: 2000 }, (_, index) => `exports.n${index} = ${index};`);
  writeFileSync(join(directory, 'part.cjs'), statements.join('\n'));
  // V8 forgets what was not called between some collections, here at the next.
  writeFileSync(
    join(directory, 'main.cjs'),
    "require('./part.cjs'); let left = 2; (function collect() { gc(); if (left--) setImmediate(collect); })();",
  );
  const compiled = join(directory, 'compiled');
  const start = `require(${JSON.stringify(join(directory, 'run.cjs'))}).run('main')`;
  const kept = (): number => {
    execFileSync(process.execPath, ['--expose-gc', '--stress-flush-code', '--eval', start], {
      env: { NODE_COMPILE_CACHE: compiled },
    });
    const [version = ''] = readdirSync(compiled);
    return statSync(join(compiled, version, 'lkt-programs-main')).size;
  };
  expect(kept()).toBeGreaterThan(20_000);
  expect(kept()).toBeGreaterThan(20_000);
});

const make = (): object => run('packages/cli/src/bundle/make.ts');

test('who has begun with a bundle can read from it to the end', async () => {
  const directory = join(main(), '..');
  const { ino } = statSync(directory);
  rmSync(join(cache, 'bundle.json'));
  expect(make()).toMatchObject({ status: 0, stderr: '' });
  expect(join(main(), '..')).toBe(directory);
  expect(statSync(directory).ino).toBe(ino);
  // One that was made long ago, and has been in use until now.
  utimesSync(directory, 0, 0);
  appendFileSync(join(checkout, 'packages/cli/src/commands/version.ts'), '\n');
  await setTimeout(2500);
  expect(make()).toMatchObject({ status: 0, stderr: '' });
  expect(join(main(), '..')).not.toBe(directory);
  expect(statSync(join(directory, 'main.cjs')).isFile()).toBe(true);
});

test('it is what runs, until a source changes; the change counts at once', () => {
  writeFileSync(main(), "process.stdout.write('from the bundle');");
  expect(run('packages/cli/src/start.ts', 'version')).toMatchObject({ stdout: 'from the bundle' });
  const source = join(checkout, 'packages/cli/src/commands/version.ts');
  const text = readFileSync(source, 'utf8');
  writeFileSync(source, text.replace('} version $', '} edition $'));
  expect(run('packages/cli/src/start.ts', 'version')).toMatchObject({
    stdout: 'lkt edition 0.0.0\n',
  });
});

const record = join(cache, 'bundle.json');

test('whoever may read the checkout may read it; who may not runs the sources', () => {
  const directory = join(main(), '..');
  expect(statSync(directory).mode & 0o777).toBe(0o777 & ~process.umask());
  rmSync(main());
  expect(run('packages/cli/src/start.ts', 'version')).toMatchObject({ status: 0, stderr: '' });
});

test.each([
  ['damaged', () => appendFileSync(record, '}')],
  ['empty', () => writeFileSync(record, '')],
  ['missing', () => rmSync(record, { force: true })],
  // One that was missing may be made again at any time.
  ['a directory', () => (rmSync(record, { force: true }), mkdirSync(record))],
])('a record that is %s is as good as none', (_, spoil) => {
  spoil();
  expect(run('packages/cli/src/start.ts', 'version', '--short')).toMatchObject({
    stdout: '0.0.0\n',
    stderr: '',
  });
});
