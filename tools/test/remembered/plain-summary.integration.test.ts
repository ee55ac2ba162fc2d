import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const here = import.meta.dirname;
const modules = join(here, '../../../node_modules');
const temporary = mkdtempSync(join(tmpdir(), 'lkt-summary-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const vitest = join(modules, 'vitest/vitest.mjs');
const BEGIN = "import { beforeAll, describe, expect, test } from 'vitest';\nlet runs = 0;\n";

interface ProvenFile {
  readonly path: string;
  readonly keys: readonly string[];
  readonly passed?: number;
}

/** Makes a project of test files, and a config that remembers and summarizes their tests. */
function project(
  name: string,
  bodies: Readonly<Record<string, string>>,
  before: readonly ProvenFile[] = [],
): string {
  const dir = join(temporary, name);
  mkdirSync(dir);
  symlinkSync(modules, join(dir, 'node_modules'));
  for (const [file, body] of Object.entries(bodies))
    writeFileSync(join(dir, `${file}.test.ts`), BEGIN + body);
  const own = Object.keys(bodies).map((file) => ({
    path: `${file}.test.ts`,
    keys: [`tests-${file}`, `rest-${file}`],
  }));
  writeFileSync(
    join(dir, 'vitest.config.ts'),
    `import PlainSummary from ${JSON.stringify(join(here, '../../vitest/plain-summary.ts'))};
const summary = new PlainSummary(${JSON.stringify([...own, ...before])}, ${JSON.stringify(dir)});
// A test with the name of a signal sends it to vitest.
const signals = { onTestCaseReady: ({ name }) => name.startsWith('SIG') && process.kill(process.pid, name) };
export default { test: { retry: 1, reporters: [summary, signals] } };`,
  );
  return dir;
}

test('remembers files whose tests all passed at once, and counts those that passed before', () => {
  const bodies = {
    passes:
      "test('a', () => expect(1).toBe(1)); test('b', async () => new Promise((r) => setTimeout(r, 1500)));",
    repeated: "test('a', () => expect(runs++).toBe(1));",
    fails: "test('a', () => expect(1).toBe(1)); test('b', () => expect(1).toBe(2));",
    hook: "describe('of a suite', () => { beforeAll(() => { throw new Error('no machine\\nconsole'); }); test('a', () => {}); });",
    loads: "throw new Error('no module');",
    partial: "test('a', () => expect(1).toBe(1)); test.runIf(false)('b', () => expect(1).toBe(2));",
  };
  const dir = project('summary', bodies, [
    { path: 'before.test.ts', keys: ['tests-before'], passed: 7 },
  ]);
  const env = { PATH: process.env['PATH'], XDG_CACHE_HOME: join(dir, 'cache') };
  const done = spawnSync(process.execPath, [vitest, 'run'], { cwd: dir, env, encoding: 'utf8' });
  expect(done.stdout).toContain('passed before with the same inputs: before.test.ts (7 tests)\n');
  expect(done.stdout).toContain('1 files passed before; npm test -- --all runs them again\n');
  expect(done.stdout).toMatch(/^processors: \d+% busy$/m);
  expect(done.stdout).toMatch(
    /^passed only when repeated: repeated\.test\.ts > a: expected \+?0 to be 1 .*$/m,
  );
  expect(done.stdout).toMatch(/^failed: fails\.test\.ts > b: expected 1 to be 2 .*$/m);
  expect(done.stdout).toMatch(
    /^failed: hook\.test\.ts > of a suite: no machine \| console$\nfailed: loads\.test\.ts: no module$/m,
  );
  expect(done.stdout).toMatch(/^tests: 12 passed, 3 failed, 2 skipped$/m);
  const proofs = join(dir, 'cache/lkt-proofs');
  expect(readdirSync(proofs).toSorted()).toEqual(['durations.json', 'rest-passes', 'tests-passes']);
  expect(JSON.parse(readFileSync(join(proofs, 'durations.json'), 'utf8'))).toEqual({
    'passes.test.ts': expect.any(Number),
  });
  expect(readFileSync(join(proofs, 'tests-passes'), 'utf8')).toBe('2');
});

/** Runs vitest in a project. `variable` names the file with the files to repeat. */
function run(dir: string, variable: string, ...words: readonly string[]): string {
  const env = {
    PATH: process.env['PATH'],
    XDG_CACHE_HOME: join(dir, 'cache'),
    [variable]: join(dir, 'repeat'),
  };
  return spawnSync(process.execPath, [vitest, 'run', ...words], {
    cwd: dir,
    env,
    encoding: 'utf8',
  }).stdout;
}

describe('a few files that failed', () => {
  const failing = "test('a', () => expect(1).toBe(2));";
  const again = 'process.env.LKT_TEST_REPEATED !== undefined';
  const booting = `beforeAll(() => { if (!(${again})) throw new Error('no machine'); }); test('b', () => {}); test('c', () => {});`;
  const reading = `test('d', () => expect(${again}).toBe(true)); test('e', () => {});`;

  test('are left to a second run, which counts the tests of both', () => {
    const dir = project('repeats', {
      boots: booting,
      reads: reading,
      passes: "test('a', () => {});",
    });
    const first = run(dir, 'LKT_TEST_REPEAT');
    const error = 'reads.test.ts > d: expected false to be true // Object.is equality';
    expect(first).toMatch(/^repeats: boots\.test\.ts: no machine$/m);
    expect(first).toContain(`\nrepeats: ${error}\n`);
    expect(first).not.toMatch(/^(tests|failed):/m);
    const [passed, ...failures] = readFileSync(join(dir, 'repeat'), 'utf8').trimEnd().split('\n');
    expect(passed).toBe('1');
    expect(failures.toSorted()).toEqual(['boots.test.ts: no machine', error]);
    const second = run(dir, 'LKT_TEST_REPEATED', 'boots.test.ts', 'reads.test.ts');
    expect(second).toMatch(/^passed only when repeated: boots\.test\.ts: no machine$/m);
    expect(second).toContain(`\npassed only when repeated: ${error}\n`);
    expect(second).toMatch(/^tests: 5 passed, 0 failed$/m);
  });

  test('fail at once if they are more than three, or a unit test', () => {
    const many = Object.fromEntries(['f', 'g', 'h', 'i'].map((name) => [name, failing]));
    const dir = project('many', many);
    expect(run(dir, 'LKT_TEST_REPEAT')).toMatch(/^tests: 0 passed, 4 failed$/m);
    expect(existsSync(join(dir, 'repeat'))).toBe(false);
    const unit = project('unit', { fails: failing });
    const config = join(unit, 'vitest.config.ts');
    const named = readFileSync(config, 'utf8').replace('test: {', "test: { name: 'unit',");
    writeFileSync(config, named);
    expect(run(unit, 'LKT_TEST_REPEAT')).toMatch(/^tests: 0 passed, 1 failed$/m);
    expect(existsSync(join(unit, 'repeat'))).toBe(false);
  });

  test('fail if the second run fails', () => {
    const dir = project('again', { boots: booting });
    const path = join(dir, 'repeat');
    writeFileSync(path, '1\nboots.test.ts: no machine\n');
    writeFileSync(
      join(dir, 'boots.test.ts'),
      `${BEGIN}beforeAll(() => { throw new Error('off'); });${failing}`,
    );
    const second = run(dir, 'LKT_TEST_REPEATED', 'boots.test.ts');
    expect(second).toMatch(/^failed: boots\.test\.ts: off$/m);
    expect(second).toMatch(/^tests: 1 passed, 1 failed, 1 skipped$/m);
  });
});

test.each(['SIGINT', 'SIGTERM'])('names the failures so far after %s', (signal) => {
  const dir = project(signal, {
    // Without results of a former run, vitest begins with the largest file.
    ends: "test('a', () => expect(1).toBe(2)); test('b', () => expect(1).toBe(1));".padEnd(1000),
    runs: `test('c', () => expect(3).toBe(4)); test('${signal}', async () => new Promise(() => {}), 600_000);`,
  });
  const env = { PATH: process.env['PATH'], XDG_CACHE_HOME: join(dir, 'cache') };
  const words = [vitest, 'run', '--no-file-parallelism'];
  const done = spawnSync(process.execPath, words, { cwd: dir, env, encoding: 'utf8' });
  expect(done.status).not.toBe(0);
  expect(done.stdout).toMatch(/^failed: ends\.test\.ts > a: expected 1 to be 2 .*$/m);
  expect(done.stdout).toMatch(/^failed: runs\.test\.ts > c: expected 3 to be 4 .*$/m);
  expect(done.stdout).toMatch(/^tests: 1 passed, 2 failed, interrupted\n$/m);
});
