import { execFileSync } from 'node:child_process';
import { statfsSync, statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { placeApart } from '../../src/native/place-apart.ts';

const EXT4_SUPER_MAGIC = 0xef53;

test('ext4 is told to spread what is in the directory', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'lkt-apart-'));
  expect(statSync(placeApart(temp.path)).isDirectory()).toBe(true);
  const isExt4 = statfsSync(temp.path).type === EXT4_SUPER_MAGIC;
  const attributes = (path: string): string =>
    isExt4 ? execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }).split(' ', 1).join() : 'T';
  expect(attributes(temp.path)).toContain('T');
});

test('other file systems need not know of it', async () => {
  await using temp = await mkdtempDisposable('/dev/shm/lkt-apart-');
  expect(statSync(placeApart(temp.path)).isDirectory()).toBe(true);
});
