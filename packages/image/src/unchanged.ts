import { lstatSync, readFileSync, utimesSync } from 'node:fs';
import { isErrno, type ProgressEvent, type Reporter } from '@lkt/core';
import { isSourceState, type SourceState } from '@lkt/pkg/source-state';
import { fileState } from './file-state.ts';
import { isThere } from './output/is-there.ts';
import type { OutputFile } from './output/write.ts';
import type { TrustedImage } from './trust/check-images.ts';

/** What a build of an image looked at, and what it gave. `BuildRecorder` writes it. */
export interface BuildRecord {
  /** Files by their absolute paths, with what `fileState` says of them. */
  readonly files: Readonly<Record<string, string>>;
  readonly sources: SourceState;
  /** What it used of the store. */
  readonly used: readonly string[];
  /** What it said of its progress. */
  readonly events: readonly ProgressEvent[];
  readonly result: RecordedImage;
}

/** What a build gave. */
export interface RecordedImage {
  readonly files: readonly OutputFile[];
  readonly minimumMemory?: number;
  readonly trust: readonly TrustedImage[];
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * The image that the same build gave before, if doing it again would change nothing: all that it looked at is as it was,
 * and all that it wrote is there, which is read and compared. Then the files count as written now, as after a build, and
 * what it used of the store as used. Loads next to nothing of the program.
 * @param path of the record
 * @param env as of the build
 */
export async function findUnchanged(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  reporter: Reporter,
  signal?: AbortSignal,
): Promise<RecordedImage | undefined> {
  const record = readRecord(path);
  if (record === undefined || !isAsItWas(record, env)) return undefined;
  for (const { path: output, digest, size } of record.result.files)
    if (!(await isThere(output, { digest, size }, signal))) return undefined;
  for (const event of record.events) reporter.emit(event);
  return record.result;
}

function readRecord(path: string): BuildRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as BuildRecord;
  } catch {
    // There is none, or a crash has cut it off.
    return undefined;
  }
}

function isAsItWas(
  { files, sources, used }: BuildRecord,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  try {
    for (const file in files) if (fileState(file) !== files[file]) return false;
    return isSourceState(sources, env) && used.every(touch);
  } catch (error) {
    // Whatever cannot be looked at, the build says it better.
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
