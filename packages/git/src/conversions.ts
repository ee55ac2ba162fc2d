import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './command.ts';
import { configFiles, isConfiguredByVariables, textOf } from './config-files.ts';
import type { GitDirectory } from './directory.ts';
import { parentOf } from './paths.ts';

/**
 * Returns a function that reports whether git may store a file in other bytes than those in the
 * work tree: by a filter, keywords or another encoding. Line ends are not considered. True if only
 * git can tell.
 * @param tracked the directories whose `.gitattributes` is in the index, one char per byte; git
 * takes it from there if the work tree lacks it
 * @throws Error if a file of the configuration cannot be read
 * @see https://git-scm.com/docs/gitattributes
 */
export function readConversions(
  { top, gitDir, commonDir }: GitDirectory,
  env: Environment,
  tracked: ReadonlySet<string>,
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
      const file = join(top, path, ATTRIBUTES);
      found = isInParent || hasConversion(file) || (tracked.has(dir) && !isFile(file));
      known.set(dir, found);
    }
    return found;
  };
  return (path) => general || below(parentOf(path));
}

/** The name of files with attributes. */
export const ATTRIBUTES = '.gitattributes';

/** @param path of a file from the top; one char per byte */
export type MayConvert = (path: string) => boolean;

/** A setting that names a file with attributes, or another file with settings. */
const NAMES_FILES = /attributesfile|\binclude/i;

/** The attributes `filter`, `ident` and `working-tree-encoding`. */
const CONVERSIONS = /filter|ident|encoding/;

function hasConversion(file: string): boolean {
  return CONVERSIONS.test(textOf(file));
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
