import { ioError, LktError } from '@lkt/core';

/** Returns the error for a failed operation on the files of a store. */
export function storeError(what: string, cause: unknown): unknown {
  const failure = ioError(what, cause);
  if (!(failure instanceof LktError) || failure.fix !== undefined) return failure;
  return new LktError(failure.code, failure.message, {
    cause,
    fix: 'use another directory: --cache DIR or LKT_CACHE',
  });
}
