import { LktError, type LktErrorCode, type SourceFile, sourceError } from '@lkt/core';
import type { CopySource } from '@lkt/dockerfile';
import type { BuildContext } from '../engine.ts';

/**
 * Fetches a source of an ADD, which progress events show as a step of the build `name`.
 * @param fixes for errors whose own fix does not fit
 * @throws LktError the error of `fetch`, at the source
 */
export async function fetchSource<T>(
  name: string,
  file: SourceFile,
  { text, position, length }: CopySource,
  { reporter, signal }: BuildContext,
  fetch: () => Promise<T>,
  fixes: Partial<Record<LktErrorCode, string>> = {},
): Promise<T> {
  const id = `${name}:${text}`;
  reporter.emit({ kind: 'start', id, title: `fetch ${text}` });
  try {
    const result = await fetch();
    reporter.emit({ kind: 'done', id, cached: false });
    return result;
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    signal?.throwIfAborted();
    if (!(error instanceof LktError)) throw error;
    const { code, message } = error;
    const fix = fixes[code] ?? error.fix;
    throw sourceError(code, file, position, message, { length, cause: error, fix });
  }
}
