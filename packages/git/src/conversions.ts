import { readFileSync, realpathSync, statSync } from 'node:fs';
import { devNull } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Environment } from './command.ts';
import type { GitDirectory } from './directory.ts';

/**
 * Returns a function that reports whether git may store a file in other bytes than those in the
 * work tree: by a filter, keywords or another encoding. Line ends are not considered. True if only
 * git can tell.
 * @throws Error if a file of the configuration cannot be read
 * @see https://git-scm.com/docs/gitattributes
 */
export function readConversions(
  { top, gitDir, commonDir }: GitDirectory,
  env: Environment,
): MayConvert {
  const own = [join(commonDir, 'config'), join(gitDir, 'config.worktree')];
  const isSetElsewhere = VARIABLES.some((name) => env[name] !== undefined);
  const general =
    isSetElsewhere ||
    [...own, ...filesOf(env, 'config')].some((file) => NAMES_FILES.test(textOf(file))) ||
    [join(commonDir, 'info/attributes'), ...filesOf(env, 'attributes')].some(hasConversion);
  const known = new Map<string, boolean>();
  const below = (dir: string): boolean => {
    let found = known.get(dir);
    if (found === undefined) {
      const isInParent = dir !== '' && below(dir.slice(0, Math.max(dir.lastIndexOf('/'), 0)));
      const path = Buffer.from(dir, 'latin1').toString();
      found = isInParent || hasConversion(join(top, path, '.gitattributes'));
      known.set(dir, found);
    }
    return found;
  };
  return (path) => general || below(path.slice(0, Math.max(path.lastIndexOf('/'), 0)));
}

/** @param path of a file from the top; one char per byte */
export type MayConvert = (path: string) => boolean;

/** Variables with settings of their own. */
const VARIABLES = ['GIT_CONFIG_COUNT', 'GIT_CONFIG_PARAMETERS'] as const;

/** A setting that names a file with attributes, or another file with settings. */
const NAMES_FILES = /attributesfile|\binclude/i;

/** The attributes `filter`, `ident` and `working-tree-encoding`. */
const CONVERSIONS = /filter|ident|encoding/;

function hasConversion(file: string): boolean {
  return CONVERSIONS.test(textOf(file));
}

/** Returns the paths of git's files of the system and the user, some of which may exist. */
function filesOf(env: Environment, name: 'config' | 'attributes'): readonly string[] {
  const { HOME: home = '', XDG_CONFIG_HOME: xdg = '' } = env;
  const user = join(xdg === '' ? join(home, '.config') : xdg, 'git', name);
  const system = [join('/etc', `git${name}`), ...besideGit(env, join('etc', `git${name}`))];
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

/** @throws Error for anything but a file, whose end may never come */
function textOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined || file === devNull) return '';
  if (!stats.isFile() || stats.size > MAX_BYTES) throw new Error(`${file} is not a short file`);
  return readFileSync(file, 'utf8');
}

const MAX_BYTES = 1024 * 1024;
