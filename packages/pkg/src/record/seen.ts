import { lstatSync, readFileSync, utimesSync } from 'node:fs';
import { isErrno, type ProgressEvent } from '@lkt/core';
import type { Environment } from '@lkt/git/checkout';
import { fileState } from './file-state.ts';
import { isSourceState, type SourceState } from './source-state.ts';

/** What a command looked at and what it gave, for the next one of the same command line. `Recorder` writes it. */
export interface CommandRecord<Result> {
  /** Files by their absolute paths, with what `fileState` says of them. */
  readonly files: Readonly<Record<string, string>>;
  readonly sources: SourceState;
  /** What it used of the store. */
  readonly used: readonly string[];
  /** What it said of its progress. */
  readonly events: readonly ProgressEvent[];
  readonly result: Result;
}

/**
 * The record of a command, if all that it looked at is as it was. Then what it used of the store counts as used now.
 * Loads next to nothing of the program.
 * @param path of the record
 * @param env as of the command
 */
export function findRecord<Result>(
  path: string,
  env: Environment,
): CommandRecord<Result> | undefined {
  const record = readRecord<Result>(path);
  return record !== undefined && isAsItWas(record, env) ? record : undefined;
}

function readRecord<Result>(path: string): CommandRecord<Result> | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as CommandRecord<Result>;
  } catch {
    // There is none, or a crash has cut it off.
    return undefined;
  }
}

function isAsItWas({ files, sources, used }: CommandRecord<unknown>, env: Environment): boolean {
  try {
    for (const file in files) if (fileState(file) !== files[file]) return false;
    return isSourceState(sources, env) && used.every(touch);
  } catch (error) {
    // Whatever cannot be looked at, the command says it better.
    if (error instanceof Error && 'syscall' in error) return false;
    throw error;
  }
}

/** As `Store.use`, for what nobody is about to read. */
function touch(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  const now = new Date();
  try {
    if (stats.isDirectory()) utimesSync(path, stats.atime, stats.mtime);
    else utimesSync(path, now, now);
  } catch (error) {
    if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM')) throw error;
  }
  return true;
}
