import { readFileSync, realpathSync, statSync } from 'node:fs';
import { devNull } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { kindOfFile, LktError } from '@lkt/core';
import type { Environment } from './command.ts';

/** Returns the paths of git's files of the system and the user, some of which may exist. */
export function configFiles(
  env: Environment,
  name: 'config' | 'attributes' | 'ignore',
): readonly string[] {
  const { HOME: home = '', XDG_CONFIG_HOME: xdg = '' } = env;
  const user = join(xdg === '' ? join(home, '.config') : xdg, 'git', name);
  const system = [join('/etc', `git${name}`), ...besideGit(env, join('etc', `git${name}`))];
  if (name === 'ignore') return [user];
  if (name === 'attributes') return [...system, user];
  return [
    ...(env['GIT_CONFIG_SYSTEM'] === undefined ? system : [env['GIT_CONFIG_SYSTEM']]),
    ...(env['GIT_CONFIG_GLOBAL'] === undefined
      ? [user, join(home, '.gitconfig')]
      : [env['GIT_CONFIG_GLOBAL']]),
  ];
}

/** Returns a path in the directory that git is installed in, such as that of Homebrew. */
function besideGit({ PATH: path = '' }: Environment, file: string): readonly string[] {
  for (const dir of path.split(delimiter)) {
    const program = join(dir, 'git');
    if (statSync(program, { throwIfNoEntry: false }) !== undefined)
      return [join(dirname(dirname(realpathSync(program))), file)];
  }
  return [];
}

/** Reports whether variables have settings of their own. */
export function isConfiguredByVariables(env: Environment): boolean {
  return ['GIT_CONFIG_COUNT', 'GIT_CONFIG_PARAMETERS'].some((name) => env[name] !== undefined);
}

/**
 * Returns the text of a file of git's configuration, one char per byte; '' without one.
 * @throws Error for anything but a file, whose end may never come
 */
export function textOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined || file === devNull) return '';
  if (!stats.isFile() || stats.size > MAX_BYTES) throw new Error(`${file} is not a short file`);
  return readFileSync(file, 'latin1');
}

/** As `textOf`, for a file that the author of the checkout may have made. @throws IO_FAILED */
export function checkoutTextOf(file: string): string {
  requireNoSpecialFile(file);
  return textOf(file);
}

/**
 * Rejects a pipe, a socket and a device in the place of a file: git would wait for it, too. Accepts
 * a link to /dev/null.
 * @throws IO_FAILED
 */
export function requireNoSpecialFile(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isFile() || stats.isDirectory()) return;
  if (realpathSync(path) === devNull) return;
  throw new LktError('IO_FAILED', `${path} is ${kindOfFile(stats)}`, {
    fix: 'put a file in its place',
  });
}

const MAX_BYTES = 1024 * 1024;
