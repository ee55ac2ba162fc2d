import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { epochProblem } from '../../release/epoch.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lkt-epoch-'));
  mkdirSync(join(directory, 'pkg/epoch'), { recursive: true });
  git('init', '--quiet');
});
afterEach(() => rmSync(directory, { recursive: true }));

function git(...words: readonly string[]): void {
  execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example.com', ...words], {
    cwd: directory,
    env: { PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' },
  });
}

/** Commits a date, with tags. */
function commit(source: number | string, ...tags: readonly string[]): void {
  const text = `package epoch\n\nconst source = ${source} // a date\n`;
  writeFileSync(join(directory, 'pkg/epoch/epoch.go'), text);
  git('add', '--all');
  git('commit', '--quiet', '--allow-empty', '--message', 'one');
  for (const tag of tags) git('tag', tag);
}

test('accepts the first release, and a later date than that of the release before', () => {
  commit(1000);
  commit(1000, 'v1.0.0');
  expect(epochProblem(directory)).toBeUndefined();
  commit(1000);
  commit(1001, 'v1.0.1');
  expect(epochProblem(directory)).toBeUndefined();
});

test.each([1000, 999])('rejects the date %d after 1000', (source) => {
  commit(1000, 'v1.0.0');
  commit(2000, 'other');
  commit(source, 'v1.0.1');
  expect(epochProblem(directory)).toMatch(/^error: .* has the date of v1\.0\.0.*\n {2}fix: /);
});

test('rejects a clone without the release before', () => {
  commit(1000, 'v1.0.0');
  commit(1000, 'v1.0.1');
  const clone = join(directory, 'clone');
  git('clone', '--quiet', '--depth=1', `file://${directory}`, clone);
  expect(epochProblem(clone)).toMatch(/^error: the clone lacks/);
});

test('rejects a source without a date', () => {
  commit('soon', 'v1.0.0');
  expect(epochProblem(directory)).toMatch(/has no date/);
});
