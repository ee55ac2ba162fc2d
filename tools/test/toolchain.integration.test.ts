import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'node_modules/.bin');

test.each([
  ['oxlint', ['-c', 'tools/oxlint.json', '--type-aware']],
  ['oxfmt', ['-c', 'tools/oxfmt.json', '--check', '.']],
  ['knip', ['-c', 'tools/knip.json']],
  ['knip', ['-c', 'tools/knip.json', '--strict', '--include', 'unlisted']],
  ['knip', ['-c', 'tools/knip.json', '--cycles']],
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
