import { LktError, type YamlValue } from '@lkt/core';

/** Runs a parser of a value, and adds the position of the value to its error. */
export function located<T>(value: YamlValue, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw value.error(error.message, error.fix === undefined ? {} : { fix: error.fix });
  }
}
