import { join } from 'node:path';
import type { Environment } from './command.ts';
import { configFiles, isConfiguredByVariables, textOf } from './config-files.ts';
import type { GitDirectory } from './directory.ts';
import { parentOf } from './paths.ts';

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
  const general =
    isConfiguredByVariables(env) ||
    [...own, ...configFiles(env, 'config')].some((file) => NAMES_FILES.test(textOf(file))) ||
    [join(commonDir, 'info/attributes'), ...configFiles(env, 'attributes')].some(hasConversion);
  const known = new Map<string, boolean>();
  const below = (dir: string): boolean => {
    let found = known.get(dir);
    if (found === undefined) {
      const isInParent = dir !== '' && below(parentOf(dir));
      const path = Buffer.from(dir, 'latin1').toString();
      found = isInParent || hasConversion(join(top, path, '.gitattributes'));
      known.set(dir, found);
    }
    return found;
  };
  return (path) => general || below(parentOf(path));
}

/** @param path of a file from the top; one char per byte */
export type MayConvert = (path: string) => boolean;

/** A setting that names a file with attributes, or another file with settings. */
const NAMES_FILES = /attributesfile|\binclude/i;

/** The attributes `filter`, `ident` and `working-tree-encoding`. */
const CONVERSIONS = /filter|ident|encoding/;

function hasConversion(file: string): boolean {
  return CONVERSIONS.test(textOf(file));
}
