import { join } from 'node:path';
import type { Environment } from './command.ts';
import { configFiles, isConfiguredByVariables, textOf } from './config-files.ts';
import type { GitDirectory } from './directory.ts';

/** Settings that decide which files git would add. */
export interface Settings {
  /** The files of the user with patterns to ignore; they need not exist. */
  readonly excludes: readonly string[];
}

/**
 * Reads the settings of a repository that git takes files as they are for.
 * @throws Error if only git can tell, as for settings about upper and lower case
 */
export function readSettings({ commonDir }: GitDirectory, env: Environment): Settings {
  if (isConfiguredByVariables(env)) throw new Error('settings in variables');
  let [excludes] = configFiles(env, 'ignore');
  for (const file of [...configFiles(env, 'config'), join(commonDir, 'config')]) {
    const text = textOf(file);
    if (UNUSUAL.test(text)) throw new Error(`${file} has unusual settings`);
    const named = text.match(/excludesfile/gi)?.length ?? 0;
    const paths = [...text.matchAll(EXCLUDES_FILE)].map(([, path = '']) => path);
    // Git does not read the file of the system then.
    if (named !== paths.length || (named > 0 && env['GIT_CONFIG_NOSYSTEM'] !== undefined))
      throw new Error(`only git reads the settings in ${file}`);
    excludes = paths.at(-1)?.replace(/^~(?=\/)/, env['HOME'] ?? '') ?? excludes;
  }
  return { excludes: excludes === undefined ? [] : [excludes] };
}

/** Settings that name other files, or by which git does not take files as they are. */
const UNUSUAL = /\binclude|ignorecase|sparse|precompose/i;

/** A path from the root or the home directory, without quotes and escapes. */
const EXCLUDES_FILE = /^\s*excludesfile\s*=\s*(~?\/[\w./+-]*)[ \t]*$/gim;
