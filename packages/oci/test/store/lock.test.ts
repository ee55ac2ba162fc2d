import { lutimes, readdir, readlink, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { withLockAt } from '../../src/store/lock.ts';
import { openStore } from '../../src/index.ts';
import { ownerState, ownerToken } from '../../src/store/owner.ts';
import { deadToken, failure, tempDir } from '../support.ts';

test('ownerState: alive, dead, a reused pid, another namespace', async () => {
  const own = ownerToken();
  const [pid, start, boot, namespace, random] = own.split('.');
  expect(ownerState(own)).toBe('alive');
  expect(ownerState(await deadToken())).toBe('dead');
  expect(ownerState([pid, `${start}1`, boot, namespace, random].join('.'))).toBe('dead');
  expect(ownerState([pid, start, '00000000', namespace, random].join('.'))).toBe('unknown');
  expect(ownerState([pid, start, boot, '1', random].join('.'))).toBe('unknown');
  expect(ownerState('something else')).toBe('unknown');
});

test('callers of one process hold the lock one at a time', async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'deep', 'a.lock');
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () =>
      withLockAt(path, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await sleep(1);
        inside -= 1;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(await readdir(join(temp.path, 'deep'))).toEqual([]);
});

test("a dead owner's lock is taken over, even if a previous takeover died", async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'a.lock');
  const dead = await deadToken();
  await symlink(dead, path);
  // The guard of this takeover, held by another dead process.
  await withLockAt(path, async () => undefined);
  await symlink(dead, path);
  const { createHash } = await import('node:crypto');
  const guard = createHash('sha256').update(dead).digest('hex').slice(0, 24);
  await symlink(await deadToken(), join(temp.path, `takeover-${guard}`));
  expect(await withLockAt(path, async () => 'ran')).toBe('ran');
  expect(await readdir(temp.path)).toEqual([]);
});

test('waits for a live owner, then names it in the error', async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'a.lock');
  await symlink(ownerToken(), path);
  const before = performance.now();
  const error = await failure(
    'CACHE_LOCKED',
    withLockAt(path, async () => undefined, { timeoutMs: 200 }),
  );
  expect(performance.now() - before).toBeGreaterThan(190);
  expect(error.message).toContain(`process ${process.pid} `);
  setTimeout(() => void unlink(path), 50);
  expect(await withLockAt(path, async () => 'ran', { timeoutMs: 5000 })).toBe('ran');
});

test('the signal ends the wait', async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'a.lock');
  await symlink(ownerToken(), path);
  const reason = new Error('stop');
  const signal = AbortSignal.timeout(50);
  await expect(withLockAt(path, async () => undefined, { signal })).rejects.toThrow(/timeout/);
  await expect(
    withLockAt(path, async () => undefined, { signal: AbortSignal.abort(reason) }),
  ).rejects.toBe(reason);
  expect(await readlink(path)).toMatch(new RegExp(`^${process.pid}\\.`));
});

test('an unobservable owner keeps its lock while it touches it', async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'a.lock');
  await symlink('1.1.00000000.1.000000000000', path);
  let now = 0;
  vi.spyOn(process, 'uptime').mockImplementation(() => (now += 2));
  const touching = setInterval(() => void lutimes(path, now, now).catch(() => undefined), 1);
  await failure(
    'CACHE_LOCKED',
    withLockAt(path, async () => undefined, { timeoutMs: 60_000 }),
  );
  clearInterval(touching);
  await sleep(20);
  expect(await withLockAt(path, async () => 'ran', { timeoutMs: 60_000 })).toBe('ran');
});

test('releases the lock when the function throws', async () => {
  await using temp = await tempDir();
  const path = join(temp.path, 'a.lock');
  const problem = new Error('no');
  await expect(withLockAt(path, async () => Promise.reject(problem))).rejects.toBe(problem);
  expect(await readdir(temp.path)).toEqual([]);
});

test('lock names are distinct, whatever their characters', async () => {
  await using temp = await tempDir();
  const store = await openStore(join(temp.path, 'store'));
  const names = [
    'a/b',
    'a%2Fb',
    '../x',
    'index.lock',
    `${'n'.repeat(300)}1`,
    `${'n'.repeat(300)}2`,
    'ü',
  ];
  const held: string[] = [];
  const hold = async ([name, ...rest]: string[]): Promise<void> => {
    if (name === undefined) {
      held.push(...(await readdir(join(store.dir, 'locks'))));
      return;
    }
    await store.withLock(name, async () => hold(rest), { timeoutMs: 1000 });
  };
  await hold(names);
  expect(held).toHaveLength(names.length);
});
