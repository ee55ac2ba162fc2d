import { lstatSync, readFileSync, statSync } from 'node:fs';
import { digestOf, LktError } from '@lkt/core';
import type { Environment } from '@lkt/git/work-tree';
import { touch } from '@lkt/oci/files';
import { type CheckoutState, isCheckoutState } from './checkout-state.ts';

/** An entry of the action cache: the inputs that an action read, and its result. */
export interface CachedAction<Result> {
  /** The state of each file that the action read, by absolute path. */
  readonly files: Readonly<Record<string, FileState>>;
  readonly checkout: CheckoutState;
  /** Paths in the store that the action used. */
  readonly storePaths: readonly string[];
  readonly result: Result;
}

/**
 * Returns a cached action, or undefined if there is no entry or one of its inputs has changed. A
 * hit marks the store paths of the action as used. Synchronous, and loads little code, because a
 * command without work to do spends most of its time here.
 * @param entry the text that `storeAction` wrote, undefined without an entry
 * @param env the environment that configures git
 * @example
 * ```ts
 * const entry = store.sealed.read(join(store.dir, 'actions', key));
 * const hit = findAction<Summary>(entry, process.env);
 * if (hit !== undefined) return hit.result;
 * ```
 */
export function findAction<Result>(
  entry: string | undefined,
  env: Environment,
): CachedAction<Result> | undefined {
  const action = parseAction<Result>(entry);
  return action !== undefined && isCurrent(action, env) ? action : undefined;
}

function parseAction<Result>(entry: string | undefined): CachedAction<Result> | undefined {
  try {
    return entry === undefined ? undefined : (JSON.parse(entry) as CachedAction<Result>);
  } catch {
    // A crash truncated an entry outside of a store.
    return undefined;
  }
}

function isCurrent(
  { files, checkout, storePaths }: CachedAction<unknown>,
  env: Environment,
): boolean {
  try {
    for (const file in files) if (fileState(file) !== files[file]) return false;
    return isCheckoutState(checkout, env) && storePaths.every(touch);
  } catch (error) {
    // The command itself reports an unreadable file better.
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}

/** Larger files are not hashed: hashing would take longer than the action that the cache skips. */
const MAX_SIZE = 16 * 2 ** 20;

/** The SHA-256 digest of a file, or `absent`. */
export type FileState = string;

/**
 * Returns the state of a file, or undefined if it cannot be tracked: it is not a regular file, is
 * longer than 16 MiB, cannot be read, or is a dangling symlink.
 */
export function fileState(path: string): FileState | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined)
      return lstatSync(path, { throwIfNoEntry: false }) === undefined ? 'absent' : undefined;
    return stats.isFile() && stats.size <= MAX_SIZE ? digestOf(readFileSync(path)) : undefined;
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) return undefined;
    throw error;
  }
}

/** Returns the state of each file, keyed by path. */
export function fileStates(paths: Iterable<string>): ReadonlyMap<string, FileState | undefined> {
  return new Map([...paths].map((path) => [path, fileState(path)]));
}
