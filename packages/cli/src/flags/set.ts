import { LktError } from '@lkt/core';
import { type FlagValues, listFlag } from './options.ts';

/** The flags of commands that read image configs. */
export const setFlags = {
  set: listFlag('NAME=VALUE', 'value of a config variable'),
};

export type SetFlags = FlagValues<typeof setFlags>;

/**
 * Parses `--set` into variables by name.
 * @throws LktError USAGE_INVALID
 */
export function givenVariables({ set = [] }: SetFlags): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const text of set) {
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(0, equals));
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new LktError('USAGE_INVALID', `--set ${text} is not NAME=VALUE`);
    if (values.has(name)) throw new LktError('USAGE_INVALID', `--set ${name} is given twice`);
    values.set(name, text.slice(equals + 1));
  }
  return values;
}
