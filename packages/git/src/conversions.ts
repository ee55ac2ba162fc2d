import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './command.ts';
import {
  configFiles,
  isConfiguredByVariables,
  requireNoSpecialFile,
  textOf,
} from './config-files.ts';
import type { GitDirectory } from './directory.ts';
import { parentOf } from './paths.ts';

/**
 * Returns a function that reports whether git may store a file in other bytes than those in the
 * work tree: by a filter, keywords, another encoding or other line ends. True if only git can tell.
 *
 * Git converts line ends (convert.c) only of files with carriage returns, and only if an attribute
 * or `core.autocrlf` says so. Which of these files it takes as text, and whether the index decides,
 * only git can tell.
 * @param tracked the directories whose `.gitattributes` is in the index, one char per byte; git
 * takes it from there if the work tree lacks it
 * @throws Error if a file of the configuration cannot be read
 * @see https://git-scm.com/docs/gitattributes
 */
export function readConversions(
  directory: GitDirectory,
  env: Environment,
  tracked: ReadonlySet<string>,
): MayConvert {
  const find = (causes: Causes): ((path: string) => boolean) =>
    findCauses(directory, env, tracked, causes);
  const contents = find({ settings: NAMES_ATTRIBUTES, attributes: CONVERSIONS });
  const lineEnds = find({ settings: LINE_END_SETTING, attributes: LINE_ENDS });
  return (path, hasReturn) => contents(path) || (hasReturn && lineEnds(path));
}

/** @param path of a file from the top; one char per byte */
export type MayConvert = (path: string, hasReturn: boolean) => boolean;

/** Patterns of settings and of attributes that make git convert files. */
interface Causes {
  readonly settings: RegExp;
  readonly attributes: RegExp;
}

/** Returns a function that reports whether a file has a cause. */
function findCauses(
  { top, gitDir, commonDir }: GitDirectory,
  env: Environment,
  tracked: ReadonlySet<string>,
  { settings, attributes }: Causes,
): (path: string) => boolean {
  const own = [join(commonDir, 'config'), join(gitDir, 'config.worktree')];
  let general: boolean | undefined;
  const isGeneral = (): boolean =>
    isConfiguredByVariables(env) ||
    [...own, ...configFiles(env, 'config')].some(names(settings)) ||
    [join(commonDir, 'info/attributes'), ...configFiles(env, 'attributes')].some(names(attributes));
  const known = new Map<string, boolean>();
  const below = (dir: string): boolean => {
    let found = known.get(dir);
    if (found === undefined) {
      const isInParent = dir !== '' && below(parentOf(dir));
      const path = Buffer.from(dir, 'latin1').toString();
      const file = join(top, path, ATTRIBUTES);
      requireNoSpecialFile(file);
      found = isInParent || names(attributes)(file) || (tracked.has(dir) && !isFile(file));
      known.set(dir, found);
    }
    return found;
  };
  return (path) => (general ??= isGeneral()) || below(parentOf(path));
}

/** Returns a function that reports whether the text of a file matches. */
function names(pattern: RegExp): (file: string) => boolean {
  return (file) => pattern.test(textOf(file));
}

/** The name of files with attributes. */
export const ATTRIBUTES = '.gitattributes';

/** A setting that names attributes elsewhere, or another file with settings. */
const NAMES_ATTRIBUTES = /attributesfile|\binclude|^\s*\[attr\b/im;

/** The attributes `filter`, `ident` and `working-tree-encoding`. */
const CONVERSIONS = /filter|ident|encoding/;

/** Without `core.autocrlf` and the attributes below, git leaves all line ends as they are. */
const LINE_END_SETTING = /autocrlf/i;
/** The attributes `text`, `eol` and `crlf`. */
const LINE_ENDS = /text|eol|crlf/;

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
