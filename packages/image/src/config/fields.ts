import { LktError, type LktErrorCode, sourceError, type YamlValue } from '@lkt/core';

/** Returns an error with its own code at the position of a value. */
export function errorAt(
  code: LktErrorCode,
  value: YamlValue,
  message: string,
  options: { fix?: string; cause?: unknown; detail?: string } = {},
): LktError {
  const range = value.range;
  const length = range === undefined ? 1 : range[1] - range[0];
  const what = value.path === '' ? message : `${value.path}: ${message}`;
  return sourceError(code, value.file, value.position, what, { ...options, length });
}

/** Runs a parser, and adds the position of the value to its errors. */
export function located<T>(value: YamlValue, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw errorAt(error.code, value, error.message, {
      cause: error,
      fix: error.fix,
    });
  }
}

/** Like `located`, for async work. */
export async function locatedAsync<T>(value: YamlValue, run: () => Promise<T>): Promise<T> {
  return run().catch((error: unknown) => located(value, () => raise(error)));
}

function raise(error: unknown): never {
  throw error;
}
