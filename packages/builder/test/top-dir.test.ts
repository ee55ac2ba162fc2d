import { closeSync, openSync, statfsSync, statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeTopDir } from '../src/worker/top-dir.ts';
import { ioctl } from '../src/system/syscalls.ts';

const EXT4_SUPER_MAGIC = 0xef53;
const FS_IOC_GETFLAGS = 0x8008_6601;
const FS_TOPDIR_FL = 0x0002_0000;

function attributes(path: string): number {
  const directory = openSync(path, 'r');
  const flags = Buffer.alloc(8);
  ioctl(directory, FS_IOC_GETFLAGS, flags);
  closeSync(directory);
  return flags.readUInt32LE(0);
}

test('spreads subdirectories on ext4', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'lkt-apart-'));
  expect(statSync(makeTopDir(temp.path)).isDirectory()).toBe(true);
  const isExt4 = statfsSync(temp.path).type === EXT4_SUPER_MAGIC;
  const spreads = isExt4 && (attributes(temp.path) & FS_TOPDIR_FL) !== 0;
  expect(spreads).toBe(isExt4);
});

test('works on file systems without the flag', async () => {
  await using temp = await mkdtempDisposable('/dev/shm/lkt-apart-');
  expect(statSync(makeTopDir(temp.path)).isDirectory()).toBe(true);
});
