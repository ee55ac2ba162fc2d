import { statfsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { LktError, ownRuntimeDirectory } from '@lkt/core';
import { parseSize } from '../flags/sizes.ts';

/**
 * The environment of the process. Nothing else in lkt reads environment variables or the working
 * directory.
 */
export interface Environment {
  readonly cwd: string;
  readonly home: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

export function processEnvironment(): Environment {
  return { cwd: process.cwd(), home: homedir(), variables: process.env };
}

/** A value and its source. */
export interface Setting {
  readonly value: string;
  readonly from: string;
}

/** Returns the name that the program was started by: `lkt`, or that of a link to it. */
export function programName({ variables }: Environment): string {
  const name = variables['LKT_NAME'] ?? '';
  return /^[\w.-]+$/.test(name) ? name : 'lkt';
}

/**
 * Returns the store directory: `--cache`, else `LKT_CACHE`, else LinuxKit's `LINUXKIT_CACHE`, else
 * `lkt` in `XDG_CACHE_HOME` or `~/.cache`.
 */
export function cacheSetting(flag: string | undefined, environment: Environment): Setting {
  const { home, variables } = environment;
  const given = givenPath(environment, '--cache', flag, ['LKT_CACHE', 'LINUXKIT_CACHE']);
  if (given !== undefined) return given;
  const xdg = present(variables['XDG_CACHE_HOME']);
  // A relative path must be ignored (XDG Base Directory Specification, "Basics").
  if (xdg?.startsWith('/') === true) return { value: join(xdg, 'lkt'), from: 'XDG_CACHE_HOME' };
  return { value: join(home, '.cache/lkt'), from: 'the default' };
}

/** Returns the directory for state that outlives commands: `lkt` in `XDG_STATE_HOME`. */
export function stateSetting({ home, variables }: Environment): string {
  const xdg = present(variables['XDG_STATE_HOME']);
  // A relative path must be ignored (XDG Base Directory Specification, "Basics").
  return xdg?.startsWith('/') === true ? join(xdg, 'lkt') : join(home, '.local/state/lkt');
}

/** Reports whether a continuous integration service runs lkt. */
export function isCi({ variables }: Environment): boolean {
  return /^(?:1|true)$/i.test(variables['CI'] ?? '');
}

/**
 * Returns the directory for state of running programs: `lkt` in `XDG_RUNTIME_DIR` if that is the
 * user's, else that of `stateSetting`.
 */
export function runtimeDir(environment: Environment): string {
  const xdg = ownRuntimeDirectory(environment.variables);
  return xdg === undefined ? stateSetting(environment) : join(xdg, 'lkt');
}

const GB = 2 ** 30;

/**
 * Returns the maximum size of the store: `LKT_CACHE_MAX` (a size, or `none`), else a tenth of its
 * file system, from 5 to 50 GiB. `bytes` is undefined for `none`.
 * @throws LktError CONFIG_INVALID
 */
export function cacheMaxSetting(
  { variables }: Environment,
  dir: string,
): Setting & { readonly bytes: number | undefined } {
  const own = present(variables['LKT_CACHE_MAX']);
  if (own !== undefined) {
    const bytes = own === 'none' ? undefined : parseSize(own);
    if (bytes === undefined && own !== 'none')
      throw new LktError('CONFIG_INVALID', `LKT_CACHE_MAX: ${own} is not a size`, {
        fix: 'write a number and K, M or G, such as 20G, or none',
      });
    return { value: own, bytes, from: 'LKT_CACHE_MAX' };
  }
  const tenth = diskSize(dir) / 10;
  const bytes = Math.round(Math.min(Math.max(tenth, 5 * GB), 50 * GB) / GB) * GB;
  return { value: `${bytes / GB}G`, bytes, from: 'the default, a tenth of the disk' };
}

/** Returns the size in bytes of the file system of a directory, which need not exist. */
function diskSize(dir: string): number {
  try {
    const { blocks, bsize } = statfsSync(dir);
    return blocks * bsize;
  } catch {
    return dir === dirname(dir) ? 0 : diskSize(dirname(dir));
  }
}

/**
 * Returns the BuildKits that build, in the form that `@lkt/buildkit` parses: `--builder`, else
 * `LKT_BUILDER`, a comma-separated list.
 *
 * Else LinuxKit's `LINUXKIT_BUILDERS`, `PLATFORM=CONTEXT,…`: a docker context becomes a buildx
 * builder of that name. Skips this machine's own platform, which needs no Docker here.
 */
export function builderSetting(
  flags: readonly string[] | undefined,
  { variables }: Environment,
): { readonly value: readonly string[]; readonly from: string } {
  if (flags !== undefined) return { value: flags, from: '--builder' };
  const own = listOf(variables['LKT_BUILDER']);
  if (own.length > 0) return { value: own, from: 'LKT_BUILDER' };
  const linuxkit = listOf(variables['LINUXKIT_BUILDERS']).filter(
    (item) => !item.startsWith(`linux/${process.arch === 'x64' ? 'amd64' : process.arch}=`),
  );
  if (linuxkit.length > 0) {
    const value = linuxkit.map((item) => item.replace(/^([^=]*)=(?!.*:)/, '$1=buildx:'));
    return { value, from: 'LINUXKIT_BUILDERS' };
  }
  return { value: [], from: 'the default, this machine' };
}

/**
 * Returns the trusted root for policies that name none: `--trusted-root`, else `LKT_TRUSTED_ROOT`;
 * empty without both.
 */
export function trustedRootSetting(flag: string | undefined, environment: Environment): Setting {
  const given = givenPath(environment, '--trusted-root', flag, ['LKT_TRUSTED_ROOT']);
  return given ?? { value: '', from: 'the default, none' };
}

/** Returns the absolute path that a flag gives, else the first variable that is set. */
function givenPath(
  { cwd, variables }: Environment,
  option: string,
  flag: string | undefined,
  names: readonly string[],
): Setting | undefined {
  if (flag !== undefined) return { value: resolve(cwd, flag), from: option };
  const from = names.find((name) => present(variables[name]) !== undefined);
  return from === undefined ? undefined : { value: resolve(cwd, variables[from] ?? ''), from };
}

/**
 * Returns the registry mirrors: `--mirror`, else LinuxKit's `LINUXKIT_MIRROR`, a list separated by
 * spaces or commas.
 */
export function mirrorSetting(
  flags: readonly string[] | undefined,
  { variables }: Environment,
): readonly string[] {
  return flags ?? listOf(variables['LINUXKIT_MIRROR']?.replaceAll(/\s+/g, ','));
}

function listOf(variable: string | undefined): readonly string[] {
  return (variable ?? '').split(',').flatMap((item) => present(item.trim()) ?? []);
}

export const PROGRESS_MODES = ['auto', 'tty', 'plain', 'json', 'quiet'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/**
 * Returns the progress mode: `--progress`, else `LKT_PROGRESS`, else chosen by the kind of standard
 * error.
 */
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
  if (stderr.isTTY !== true) return { value: 'plain', from: 'standard error is not a terminal' };
  if (present(variables['CI']) !== undefined) return { value: 'plain', from: 'CI' };
  if (variables['TERM'] === 'dumb') return { value: 'plain', from: 'TERM' };
  return { value: 'tty', from: 'standard error is a terminal' };
}

/** Returns a variable that is set and not empty. */
export function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
