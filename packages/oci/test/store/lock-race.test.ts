import type * as promises from 'node:fs/promises';
import { readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { withLockAt } from '../../src/store/lock.ts';
import { deadToken, tempDir } from '../support.ts';

// Simulates a waiter that saw a dead owner but takes over late: another process already did and
// holds the lock.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  return {
    ...real,
    symlink: async (target: string, path: string): Promise<void> => {
      if (path.includes('takeover-')) await sleep(Math.random() * 8);
      return real.symlink(target, path);
    },
  };
});

test('a slow waiter does not remove the lock of a faster one', async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'a.lock');
  const dead = await deadToken();
  for (let round = 0; round < 10; round += 1) {
    await symlink(dead, path);
    let inside = 0;
    await Promise.all(
      Array.from({ length: 10 }, async () =>
        withLockAt(path, async () => {
          inside += 1;
          expect(inside).toBe(1);
          await sleep(4);
          inside -= 1;
        }),
      ),
    );
  }
  expect(await readdir(temp.path)).toEqual([]);
});
