import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'node_modules/.bin');

test.each([
  ['oxlint', ['--type-aware']],
  ['oxfmt', ['--check', '.']],
  ['knip', []],
  ['knip', ['--strict', '--include', 'unlisted']],
  ['knip', ['--cycles']],
  ['node', ['tools/check-words.ts']],
])('%s %j', { timeout: 120_000 }, (tool, args) => {
  const { PATH = '', HOME = '' } = process.env;
  const done = spawnSync(join(bin, tool), args, {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: `${bin}:${PATH}`, HOME, NO_COLOR: '1' },
  });
  expect(done.status, `${done.stdout}${done.stderr}`).toBe(0);
});
