import { join } from 'node:path';
import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import { buildId } from '@lkt/core/program';
import type { Session } from './session.ts';

/** What decides nothing of what a command does, or only which of these flags it is. */
const SILENT: ReadonlySet<string> = new Set(['json', 'progress', 'quiet', 'verbose']);

/** What shells count, and nobody reads. */
const UNREAD: ReadonlySet<string> = new Set(['_', 'OLDPWD', 'PWD', 'SHLVL']);

/** A command line as it was given. */
export interface GivenCommand {
  /** Of the store, where the record is beside other things. */
  readonly area: string;
  readonly name: string;
  readonly words: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
  /** Flags of which all is known that the command looks at with them. */
  readonly known: ReadonlySet<string>;
}

/**
 * Where the record of a command is that says of itself that nothing has changed. What cannot change while a program runs
 * is in the name: the program, the command line, the directory, the user and the environment.
 * @returns undefined for a command that has none: with flags that name more to look at, or by a program from its sources,
 * which says nothing of which they are
 */
export function commandRecordPath(
  { environment: { cwd, home, variables }, cacheDir }: Session,
  { area, name, words, flags, known }: GivenCommand,
): string | undefined {
  const program = buildId(import.meta.url);
  if (program === undefined) return undefined;
  const given = Object.entries(flags).filter(
    ([flag, value]) => value !== undefined && !SILENT.has(flag),
  );
  if (!given.every(([flag, value]) => known.has(flag) || value === false)) return undefined;
  const read = Object.entries(variables).filter(([variable]) => !UNREAD.has(variable));
  const inputs = {
    version: 2,
    name,
    program,
    cwd,
    home,
    user: process.getuid?.() ?? 0,
    words,
    flags: Object.fromEntries(given),
    variables: Object.fromEntries(read),
  };
  return join(cacheDir, area, `${digestHex(digestOf(canonicalJson(inputs)))}.${name}`);
}
