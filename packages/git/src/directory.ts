import { lstatSync, readFileSync, realpathSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Environment } from './command.ts';
import { requireNoSpecialFile } from './config-files.ts';

/** The location of a work tree's repository. */
export interface GitDirectory {
  /** Top of the work tree; without symlinks if the search started without them. */
  readonly top: string;
  /** $GIT_DIR: has `HEAD` and `index`. */
  readonly gitDir: string;
  /**
   * $GIT_COMMON_DIR: has `objects`, `refs` and `config`. Differs from `gitDir` in a linked work
   * tree.
   */
  readonly commonDir: string;
}

/**
 * Finds the repository of `dir`, an absolute path without symlinks, in the common case: not bare,
 * no settings that move the work tree, no format extensions, and everything owned by this user. The
 * work tree may be linked, or that of a submodule.
 * Returns undefined in all other cases, which git must decide.
 */
export function findGitDirectory(dir: string, env: Environment): GitDirectory | undefined {
  // The variable limits the search.
  if (env['GIT_CEILING_DIRECTORIES'] !== undefined) return undefined;
  const { dev } = lstatSync(dir);
  for (let at = dir; ; at = dirname(at)) {
    // Git crosses file systems only with permission.
    if (lstatSync(at).dev !== dev) return undefined;
    // Inside a repository, not in its work tree.
    if (statOf(join(at, 'HEAD')) !== undefined) return undefined;
    const mark = statOf(join(at, '.git'));
    if (mark !== undefined) return isOwnedByUser(lstatSync(at)) ? directoryOf(at, mark) : undefined;
    if (dirname(at) === at) return undefined;
  }
}

/**
 * Reports whether `dir`, an absolute path without symlinks, is in no repository: neither it nor a
 * directory above has an entry by which git finds one. False if only git can tell.
 */
export function isOutsideGit(dir: string): boolean {
  for (let at = dir; ; at = dirname(at)) {
    // A bare repository has HEAD.
    if (MARKS.some((name) => statOf(join(at, name)) !== undefined)) return false;
    if (dirname(at) === at) return true;
  }
}

const MARKS: readonly string[] = ['.git', 'HEAD'];

/** Returns the commit id of HEAD, '' before the first; undefined if it is written unusually. */
export function headCommit({ gitDir, commonDir }: GitDirectory): string | undefined {
  // In old repositories it may be a symlink.
  if (statOf(join(gitDir, 'HEAD'))?.isFile() !== true) return undefined;
  const head = readFileSync(join(gitDir, 'HEAD'), 'latin1').trimEnd();
  if (ID.test(head)) return head;
  const name = /^ref: (refs\/heads\/[^\s:?*[\\~^]+)$/.exec(head)?.[1];
  if (name === undefined || name.includes('..')) return undefined;
  // Replacement refs may substitute objects.
  if (statOf(join(commonDir, 'refs/replace')) !== undefined) return undefined;
  const packed = readIfExists(join(commonDir, 'packed-refs')) ?? '';
  if (packed.includes(' refs/replace/')) return undefined;
  const file = join(commonDir, name);
  requireNoSpecialFile(file);
  const loose = readIfExists(file)?.trimEnd();
  if (loose !== undefined) return ID.test(loose) ? loose : undefined;
  const line = packed.split('\n').find((text) => text.slice(41) === name && text[40] === ' ');
  if (line === undefined) return statOf(file) === undefined ? '' : undefined;
  const id = line.slice(0, 40);
  return ID.test(id) ? id : undefined;
}

const ID = /^[0-9a-f]{40}$/;

function directoryOf(top: string, mark: Stats): GitDirectory | undefined {
  if (!isOwnedByUser(mark)) return undefined;
  const path = join(top, '.git');
  if (mark.isDirectory()) return validated({ top, gitDir: path, commonDir: path });
  if (!mark.isFile()) return undefined;
  const target = /^gitdir: ([^\n]+)\n?$/.exec(readFileSync(path, 'utf8'))?.[1];
  if (target === undefined) return undefined;
  const gitDir = resolve(top, target);
  requireNoSpecialFile(join(gitDir, 'commondir'));
  // The repository of a submodule has none.
  const common = readIfExists(join(gitDir, 'commondir'))?.trimEnd() ?? '.';
  const commonDir = resolve(gitDir, common);
  return isOwnedByUser(lstatSync(gitDir)) && isOwnedByUser(lstatSync(commonDir))
    ? validated({ top, gitDir, commonDir })
    : undefined;
}

/**
 * Returns the directory if it is a repository; otherwise git continues with the parent directories.
 */
function validated(found: GitDirectory): GitDirectory | undefined {
  const { gitDir, commonDir } = found;
  for (const name of OWN_FILES) requireNoSpecialFile(join(gitDir, name));
  for (const name of COMMON_FILES) requireNoSpecialFile(join(commonDir, name));
  if (statOf(join(gitDir, 'HEAD')) === undefined) return undefined;
  const parts = ['objects', 'refs'].map((name) => statOf(join(commonDir, name)));
  return parts.every((part) => part?.isDirectory() === true) && isPlain(found) ? found : undefined;
}

/** Files of a repository that commands of git read. */
const OWN_FILES = ['HEAD', 'index', 'config.worktree'];
const COMMON_FILES = ['config', 'packed-refs', 'info/exclude', 'info/attributes'];

/**
 * Reports whether the configuration is well-formed and does not affect the work tree's location or
 * the storage format.
 */
function isPlain({ top, gitDir, commonDir }: GitDirectory): boolean {
  const isLinked = commonDir !== gitDir;
  const isInside = gitDir === join(top, '.git');
  const config = readFileSync(join(commonDir, 'config'), 'utf8')
    .replaceAll(OWN_WORK_TREE, (line, path: string) =>
      !isLinked && !isInside && leadsTo(top, resolve(gitDir, path)) ? '' : line,
    )
    .replaceAll(/"[^"\\\n]*"/g, '""');
  if (!config.split('\n').every((line) => CONFIG_LINE.test(line.trim()))) return false;
  if (/\b(worktree|extensions|include|includeif)\b/i.test(config)) return false;
  if (/\bbare\b(?!\s*=\s*false\s*$)/im.test(config)) return false;
  return !/\brepositoryformatversion\b(?!\s*=\s*[01]\s*$)/im.test(config);
}

/** The setting of a submodule, as git writes it. */
const OWN_WORK_TREE = /^\s*worktree = ([\w./+@-]+)$/gm;

/** Reports whether a submodule's work tree is where its link to the repository was found. */
function leadsTo(top: string, path: string): boolean {
  return statOf(path) !== undefined && realpathSync(path) === top;
}

/** A comment, a section or a setting, with quoted strings emptied. Rejects line continuations. */
const CONFIG_LINE = /^([#;].*|\[[\w.-]+( "")?\]|[a-z][\w-]*(\s*=([^"\\]|"")*)?)?$/i;

/** Git rejects directories of other users unless `safe.directory` allows them. */
function isOwnedByUser({ uid }: Stats): boolean {
  return uid === process.geteuid?.();
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function readIfExists(path: string): string | undefined {
  return statOf(path)?.isFile() === true ? readFileSync(path, 'latin1') : undefined;
}
