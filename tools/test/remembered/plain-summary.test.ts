import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const dir = mkdtempSync(join(tmpdir(), 'lkt-summary-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('remembers files whose tests all passed at once, and counts those that passed before', () => {
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  const begin = "import { beforeAll, describe, expect, test } from 'vitest';\nlet runs = 0;\n";
  const bodies = {
    passes: "test('a', () => expect(1).toBe(1)); test('b', () => expect(2).toBe(2));",
    repeated: "test('a', () => expect(runs++).toBe(1));",
    fails: "test('a', () => expect(1).toBe(1)); test('b', () => expect(1).toBe(2));",
    hook: "describe('of a suite', () => { beforeAll(() => { throw new Error('no machine\\nconsole'); }); test('a', () => {}); });",
    loads: "throw new Error('no module');",
    partial: "test('a', () => expect(1).toBe(1)); test.runIf(false)('b', () => expect(1).toBe(2));",
  };
  for (const [name, body] of Object.entries(bodies))
    writeFileSync(join(dir, `${name}.test.ts`), begin + body);
  const files = [...Object.keys(bodies), 'before'].map((name) => ({
    path: `${name}.test.ts`,
    key: `tests-${name}`,
    ...(name === 'before' ? { passed: 7 } : {}),
  }));
  writeFileSync(
    join(dir, 'vitest.config.ts'),
    `import PlainSummary from ${JSON.stringify(join(root, 'tools/vitest/plain-summary.ts'))};
export default { test: { retry: 1, reporters: [new PlainSummary(${JSON.stringify(files)}, ${JSON.stringify(dir)})] } };`,
  );
  const env = { PATH: process.env['PATH'], XDG_CACHE_HOME: join(dir, 'cache') };
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const done = spawnSync(process.execPath, [vitest, 'run'], { cwd: dir, env, encoding: 'utf8' });
  expect(done.stdout).toContain('passed before with the same inputs: before.test.ts (7 tests)\n');
  expect(done.stdout).toContain('1 files passed before; npm test -- --all runs them again\n');
  expect(done.stdout).toMatch(/^processors: \d+% busy$/m);
  expect(done.stdout).toMatch(
    /^passed only when repeated: repeated\.test\.ts > a: expected \+?0 to be 1 .*$/m,
  );
  expect(done.stdout).toMatch(/^failed: fails\.test\.ts > b: expected 1 to be 2 .*$/m);
  expect(done.stdout).toMatch(
    /^failed: hook\.test\.ts > of a suite: no machine$\nfailed: loads\.test\.ts: no module$/m,
  );
  expect(done.stdout).toMatch(/^tests: 12 passed, 3 failed, 2 skipped$/m);
  const proofs = join(dir, 'cache/lkt-proofs');
  expect(readdirSync(proofs)).toEqual(['tests-passes']);
  expect(readFileSync(join(proofs, 'tests-passes'), 'utf8')).toBe('2');
});
