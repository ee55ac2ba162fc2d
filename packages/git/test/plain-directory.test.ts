import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readPlainDirectory, WholeDirectories } from '../src/plain-directory.ts';
import { temporary, write } from './checkout.ts';

it('rejects a pipe, and does not hash a directory with one', async () => {
  await using dir = await temporary();
  await write(dir.path, { 'a/file': '' });
  const tree = new WholeDirectories(1e6).tree(dir.path);
  expect(readPlainDirectory(dir.path, [dir.path]).headTree('')).toBe(tree);
  const pipe = join(dir.path, 'a/pipe');
  execFileSync('mkfifo', [pipe]);
  expect(new WholeDirectories(1e6).tree(dir.path)).toBe(undefined);
  expect(() => readPlainDirectory(dir.path, [dir.path])).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: `${pipe} is not a file, directory or symlink`,
    }),
  );
});

it('reads no more than the limit in all directories together', async () => {
  await using dir = await temporary();
  await write(dir.path, { 'a/file': 'x'.repeat(1000), 'b/file': 'x'.repeat(1000) });
  const whole = new WholeDirectories(2500);
  expect(whole.tree(join(dir.path, 'a'))).toMatch(/^[0-9a-f]{40}$/);
  expect(whole.tree(join(dir.path, 'b'))).toBe(undefined);
  expect(whole.tree(join(dir.path, 'a'))).toMatch(/^[0-9a-f]{40}$/);
});

it('reports the first directory that it cannot read', async () => {
  await using dir = await temporary();
  const missing = join(dir.path, 'missing');
  expect(() => readPlainDirectory(dir.path, [missing])).toThrow(
    expect.objectContaining({ code: 'IO_FAILED', message: `cannot read ${dir.path}/missing` }),
  );
});
