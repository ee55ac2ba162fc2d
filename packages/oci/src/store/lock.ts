import { createHash } from 'node:crypto';
import { lstatSync, readlinkSync } from 'node:fs';
import { lutimes, mkdir, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, LktError } from '@lkt/core';
import { statsOf } from './disk-use.ts';
import { type OwnerToken, ownerState, ownerToken, pidOf } from './owner.ts';
import { storeError } from './store-error.ts';

/** Options of waiting for a lock. */
export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Maximum wait for another holder in milliseconds; default ten minutes. */
  readonly timeoutMs?: number;
}

/**
 * Interval at which an owner touches its lock, and the age at which an untouched lock of an
 * unobservable owner is stale; in milliseconds.
 */
const TOUCH_MS = 2_000;
const STALE_MS = 30_000;

/**
 * Runs `run` while holding the lock at `path` exclusively among processes and callers.
 *
 * A lock is a symbolic link whose target is its owner's token, so it is created atomically. A dead
 * owner's lock is taken over. A stopped process keeps its lock, except against another container or
 * machine.
 * @throws CACHE_LOCKED after `timeoutMs`; the signal's reason if it is aborted
 */
export async function withLockAt<T>(
  path: string,
  run: () => Promise<T>,
  { signal, timeoutMs = 600_000 }: LockOptions = {},
): Promise<T> {
  const token = await acquire(path, signal, timeoutMs);
  const touching = setInterval(() => void touch(path), TOUCH_MS);
  touching.unref();
  try {
    return await run();
  } finally {
    clearInterval(touching);
    if (ownerOf(path) === token) await removeLink(path);
  }
}

/** Returns the live owner of the lock, or undefined. */
export function lockHolder(path: string): OwnerToken | undefined {
  const owner = ownerOf(path);
  return owner === undefined || ownerState(owner) === 'dead' ? undefined : owner;
}

async function acquire(
  path: string,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<OwnerToken> {
  const watch = new Watch();
  const end = clock() + timeoutMs;
  for (let round = 0; ; round += 1) {
    signal?.throwIfAborted();
    const token = await tryAcquire(path, watch);
    if (token !== undefined) return token;
    const left = end - clock();
    if (left <= 0) throw lockedError(path, timeoutMs);
    // Jitter spreads waiters that arrived together.
    const pause = Math.min(5 * 1.5 ** Math.min(round, 9), 150) * (0.5 + Math.random());
    await sleep(Math.min(pause, left), undefined, { signal }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw error;
    });
  }
}

async function tryAcquire(path: string, watch: Watch): Promise<OwnerToken | undefined> {
  const token = ownerToken();
  if (await createLink(token, path)) return token;
  const owner = ownerOf(path);
  if (owner === undefined || !watch.isDead(path, owner)) return undefined;
  await removeDead(path, owner, watch);
  return undefined;
}

/**
 * Removes the lock of a dead owner, but never one that another waiter has acquired since. Every
 * remover must hold a guard lock, named after the dead owner, while it checks and removes. A guard
 * whose holder died is freed in the same way.
 */
async function removeDead(path: string, owner: OwnerToken, watch: Watch): Promise<void> {
  const name = createHash('sha256').update(owner).digest('hex').slice(0, 24);
  const guard = join(dirname(path), `takeover-${name}`);
  const token = await tryAcquire(guard, watch);
  if (token === undefined) return;
  try {
    if (ownerOf(path) === owner) await removeLink(path);
  } finally {
    if (ownerOf(guard) === token) await removeLink(guard);
  }
}

/** Returns monotonic milliseconds. process.uptime() avoids loading the `performance` module. */
function clock(): number {
  return process.uptime() * 1000;
}

/**
 * Tells dead owners from live ones. An owner in another container or machine is dead when its
 * lock's mtime stops changing.
 */
class Watch {
  readonly #seen = new Map<string, { owner: OwnerToken; mtime: number; since: number }>();

  isDead(path: string, owner: OwnerToken): boolean {
    const state = ownerState(owner);
    if (state !== 'unknown') return state === 'dead';
    const mtime = statsOf(path)?.mtimeMs ?? 0;
    const seen = this.#seen.get(path);
    const time = clock();
    if (seen === undefined || seen.owner !== owner || seen.mtime !== mtime) {
      this.#seen.set(path, { owner, mtime, since: time });
      return false;
    }
    return time - seen.since > STALE_MS;
  }
}

async function createLink(token: OwnerToken, path: string): Promise<boolean> {
  for (;;) {
    try {
      await symlink(token, path);
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      if (isErrno(error, 'ENOENT')) await mkdir(dirname(path), { recursive: true });
      else throw storeError(`cannot lock ${path}`, error);
    }
  }
}

/**
 * Returns the owner that a lock names, alive or dead. Synchronous, because it runs for every
 * `Store.use`.
 */
function ownerOf(path: string): OwnerToken | undefined {
  try {
    // Usually there is no lock, and an exception is slower.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    return readlinkSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw storeError(`cannot lock ${path}`, error);
  }
}

async function removeLink(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw storeError(`cannot lock ${path}`, error);
  });
}

async function touch(path: string): Promise<void> {
  const now = Date.now() / 1000;
  await lutimes(path, now, now).catch(() => undefined);
}

function lockedError(path: string, timeoutMs: number): LktError {
  const owner = ownerOf(path);
  const who = owner === undefined ? 'another process' : `process ${pidOf(owner)}`;
  return new LktError(
    'CACHE_LOCKED',
    `${path} has been locked by ${who} for more than ${timeoutMs / 1000} s`,
    { fix: 'wait for it to end, or stop it' },
  );
}
