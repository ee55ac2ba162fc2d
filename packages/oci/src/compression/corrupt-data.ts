import { LktError } from '@lkt/core';

/** Returns the error for compressed data that violates its format. */
export function corruptData(format: 'gzip' | 'zstd', what: string, cause?: Error): LktError {
  return new LktError('ARCHIVE_INVALID', `the ${format} data is corrupt: ${what}`, { cause });
}
