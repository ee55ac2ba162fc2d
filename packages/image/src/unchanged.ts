import { dirname } from 'node:path';
import type { Reporter } from '@lkt/core';
import { findRecord } from '@lkt/pkg/record';
import type { ImageAudit } from './audit/audit-hook.ts';
import { isThere } from './output/is-there.ts';
import { KnownFiles } from './output/known-files.ts';
import type { OutputFile } from './output/write.ts';
import type { TrustedImage } from './trust/check-images.ts';

/** What a build of an image gave; the record of it has this. */
export interface RecordedImage {
  readonly files: readonly OutputFile[];
  readonly minimumMemory?: number;
  readonly trust: readonly TrustedImage[];
  readonly variables: Readonly<Record<string, string>>;
  readonly audit?: ImageAudit;
}

/**
 * The image that the same build gave before, if doing it again would change nothing: all that it looked at is as it was,
 * and all that it wrote is there, which is read and compared as far as it is not known to be. Then the files count as written now, as after a build, and
 * what it used of the store as used. Loads next to nothing of the program.
 * @param path of the record
 * @param env as of the build
 * @param now milliseconds since 1970
 */
export async function findUnchanged(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  reporter: Reporter,
  now: number,
  signal?: AbortSignal,
): Promise<RecordedImage | undefined> {
  const record = findRecord<RecordedImage>(path, env);
  if (record === undefined || now >= (record.result.audit?.until ?? Infinity)) return undefined;
  const { files } = record.result;
  const known = new KnownFiles(dirname(path));
  const are = files.map(async (file) => isThere(file.path, file, known, signal));
  if ((await Promise.all(are)).includes(false)) return undefined;
  for (const event of record.events) reporter.emit(event);
  return record.result;
}
