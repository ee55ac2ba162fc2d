import { type LktErrorCode, sourceError, type LktError, type YamlValue } from '@lkt/core';

/** An error with a code of its own at a value. */
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
