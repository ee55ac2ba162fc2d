import {
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { isErrno } from '@lkt/core';
import { statsOf } from '../store/disk-use.ts';
import { ownerState, ownerToken, tokenOf } from '../store/owner.ts';

/**
 * Age in milliseconds at which files of an unobservable owner (another boot, container, machine)
 * are garbage.
 */
const FOREIGN_MS = 24 * 3600 * 1000;

/**
 * Creates a directory under `parent`. Disposal removes it; if the process dies, the next sweep
 * does.
 */
export async function tempDirIn(parent: string): Promise<AsyncDisposable & { path: string }> {
  const path = join(parent, ownerToken());
  await mkdir(path, { recursive: true });
  return { path, [Symbol.asyncDispose]: async () => removeTree(path) };
}

/**
 * Removes a directory tree of any depth: a command can nest directories beyond PATH_MAX. Node's
 * synchronous function takes less than half the time; other work runs between the directories.
 */
export async function removeTree(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  // The directory that a link leads to stays.
  if (stats?.isDirectory() === true) await removeDirectories(path, YIELDING_LEVELS);
  rmSync(path, { recursive: true, force: true });
}

/** Directories this deep, and not below, are removed one at a time. */
const YIELDING_LEVELS = 6;

async function removeDirectories(path: string | Buffer, levels: number): Promise<void> {
  for (const entry of entriesIn(path)) {
    if (!entry.isDirectory()) continue;
    const directory = Buffer.concat([Buffer.from(path), Buffer.from('/'), entry.name]);
    if (levels > 1) await removeDirectories(directory, levels - 1);
    rmSync(directory, { recursive: true, force: true });
    await setImmediate();
  }
}

/** Returns the entries of a directory; none if another process has removed it. */
function entriesIn(directory: string | Buffer): readonly Dirent<Buffer>[] {
  try {
    return readdirSync(directory, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/**
 * Writes a file atomically: into `temp`, fsynced, then renamed to the path that `fill` returns.
 */
export async function writeAtomically(
  temp: string,
  fill: (file: FileHandle) => Promise<string>,
): Promise<void> {
  await mkdir(temp, { recursive: true });
  const path = join(temp, ownerToken());
  const file = await open(path, 'wx', 0o644);
  try {
    let target: string;
    try {
      target = await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(path, target);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/**
 * Writes a small file atomically without fsync, by way of `temp`; creates the target's directory.
 */
export function putFile(temp: string, path: string, text: string): void {
  const name = join(temp, ownerToken());
  try {
    writeInto(temp, () => writeFileSync(name, text));
    writeInto(dirname(path), () => renameSync(name, path));
  } catch (error) {
    rmSync(name, { force: true });
    throw error;
  }
}

/** Runs `write`, creating the directory only if it is missing, which is rare. */
function writeInto(directory: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(directory, { recursive: true });
    write();
  }
}

/** Makes renames inside a directory durable. Ignores file systems that cannot. */
export async function syncDir(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } catch (error) {
    if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM')) throw error;
  } finally {
    await directory.close();
  }
}

/**
 * Removes the files of dead processes from `parent`: names of `prefix` and an owner token. Ignores
 * failures.
 */
export async function sweep(parent: string, prefix = ''): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    const token = name.startsWith(prefix) ? tokenOf(name.slice(prefix.length)) : undefined;
    if (token === undefined) continue;
    const path = join(parent, name);
    const state = ownerState(token);
    if (state === 'dead' || (state === 'unknown' && ageOf(path) > FOREIGN_MS))
      await removeTree(path).catch(() => undefined);
  }
}

/** Returns the milliseconds since the last sign of life of a file's owner. */
function ageOf(path: string): number {
  const { atimeMs, mtimeMs } = statsOf(path) ?? { atimeMs: Infinity, mtimeMs: Infinity };
  return Date.now() - Math.max(atimeMs, mtimeMs);
}
