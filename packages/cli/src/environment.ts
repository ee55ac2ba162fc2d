import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** What lkt takes from the process it runs in. Nothing else in lkt reads environment variables or the directory. */
export interface Environment {
  readonly cwd: string;
  readonly home: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

export function processEnvironment(): Environment {
  return { cwd: process.cwd(), home: homedir(), variables: process.env };
}

/** A value and who decided it. */
export interface Setting {
  readonly value: string;
  readonly from: string;
}

/** Where the store is: `--cache`, else `LKT_CACHE`, else `lkt` in `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheSetting(flag: string | undefined, environment: Environment): Setting {
  const { cwd, home, variables } = environment;
  if (flag !== undefined) return { value: resolve(cwd, flag), from: '--cache' };
  const own = present(variables['LKT_CACHE']);
  if (own !== undefined) return { value: resolve(cwd, own), from: 'LKT_CACHE' };
  const xdg = present(variables['XDG_CACHE_HOME']);
  // A relative path there is to be ignored (XDG Base Directory Specification, "Basics").
  if (xdg?.startsWith('/') === true) return { value: join(xdg, 'lkt'), from: 'XDG_CACHE_HOME' };
  return { value: join(home, '.cache/lkt'), from: 'the default' };
}

export const PROGRESS_MODES = ['auto', 'tty', 'plain', 'json', 'quiet'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** How progress is shown: `--progress`, else `LKT_PROGRESS`, else by what standard error is. */
export function progressSetting(
  flag: ProgressMode | undefined,
  environment: Environment,
  stderr: { readonly isTTY?: boolean },
): { readonly value: Exclude<ProgressMode, 'auto'>; readonly from: string } {
  const { variables } = environment;
  const asked = PROGRESS_MODES.find((mode) => mode === (flag ?? variables['LKT_PROGRESS']));
  if (asked !== undefined && asked !== 'auto') {
    return { value: asked, from: flag === undefined ? 'LKT_PROGRESS' : '--progress' };
  }
  if (stderr.isTTY !== true) return { value: 'plain', from: 'standard error is no terminal' };
  if (present(variables['CI']) !== undefined) return { value: 'plain', from: 'CI' };
  if (variables['TERM'] === 'dumb') return { value: 'plain', from: 'TERM' };
  return { value: 'tty', from: 'standard error is a terminal' };
}

function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
