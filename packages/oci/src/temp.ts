import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno } from '@lkt/core';
import { ownerState, ownerToken, tokenOf } from './owner.ts';

/** Age at which what an owner left that cannot be seen (another boot, container, machine) is taken for garbage. */
const FOREIGN_MS = 24 * 3600 * 1000;

/** A new directory under `parent`, which is gone after disposal and, should the process die, at the next sweep. */
export async function tempDirIn(parent: string): Promise<AsyncDisposable & { path: string }> {
  const path = join(parent, ownerToken());
  await mkdir(path, { recursive: true });
  return { path, [Symbol.asyncDispose]: async () => removeTree(path) };
}

/** Removes all of a directory, whoever filled it: a command can nest directories deeper than a path can say. */
export async function removeTree(path: string): Promise<void> {
  const all = { recursive: true, force: true } as const;
  await rm(path, all).catch((error: unknown) => {
    if (!isErrno(error, 'ENAMETOOLONG')) throw error;
    // This one goes from directory to directory.
    rmSync(path, all);
  });
}

/**
 * Writes a file as a whole or not at all: into `temp`, synchronised, then renamed to `path`, which it replaces.
 * `fill` returns the name to give it, or undefined to drop it.
 */
export async function writeAtomically(
  temp: string,
  fill: (file: FileHandle) => Promise<string | undefined>,
): Promise<void> {
  await mkdir(temp, { recursive: true });
  const path = join(temp, ownerToken());
  const file = await open(path, 'wx', 0o644);
  try {
    let target: string | undefined;
    try {
      target = await fill(file);
      if (target !== undefined) await file.sync();
    } finally {
      await file.close();
    }
    if (target === undefined) await rm(path, { force: true });
    else await rename(path, target);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Writes a small file as a whole or not at all, without a wait for the disk: through `temp`, into a directory it makes. */
export function putFile(temp: string, path: string, text: string): void {
  const name = join(temp, ownerToken());
  writeInto(temp, () => writeFileSync(name, text));
  try {
    writeInto(dirname(path), () => renameSync(name, path));
  } catch (error) {
    rmSync(name, { force: true });
    throw error;
  }
}

/** Makes the directory only where it is missing, which is seldom. */
function writeInto(directory: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(directory, { recursive: true });
    write();
  }
}

/** Makes renames inside a directory last. Not every file system can. */
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

/** Removes what dead processes left in `parent` under `prefix` and their token. What cannot be removed stays. */
export async function sweep(parent: string, prefix = ''): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    const token = name.startsWith(prefix) ? tokenOf(name.slice(prefix.length)) : undefined;
    if (token === undefined) continue;
    const path = join(parent, name);
    const state = ownerState(token);
    if (state === 'dead' || (state === 'unknown' && (await ageOf(path)) > FOREIGN_MS))
      await removeTree(path).catch(() => undefined);
  }
}

async function ageOf(path: string): Promise<number> {
  return lstat(path).then(
    ({ atimeMs, mtimeMs }) => Date.now() - Math.max(atimeMs, mtimeMs),
    () => 0,
  );
}
