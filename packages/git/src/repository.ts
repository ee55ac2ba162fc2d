import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { LktError } from '@lkt/core';
import { exists } from '@lkt/oci/files';
import { findTopWithoutGit, isOutside, readWorkTree } from './work-tree.ts';
import type { Git } from './command.ts';
import { isUnder } from './paths.ts';
import { gitTreeId } from './tree-id.ts';

/**
 * A file that git tracks or would track. `path` is relative to the top of the work tree, one char
 * per byte.
 */
interface WorkFile {
  readonly path: string;
  /** Mode in the index; undefined for an untracked file. */
  readonly mode: string | undefined;
  /** Excluded from the work tree by a sparse checkout. */
  readonly skipped?: boolean;
}

interface TrackedFile extends WorkFile {
  readonly mode: string;
  readonly id: string;
}

/** The state of some directories of one work tree, read in as few git calls as possible. */
export interface Repository {
  /** Top of the work tree, without symlinks. */
  readonly root: string;
  /** Returns the path of a directory from the top: '' for the top itself. One char per byte. */
  pathOf(dir: string): string;
  /**
   * Returns the tree id of a directory in HEAD; undefined if HEAD or the directory does not exist.
   */
  headTree(path: string): string | undefined;
  /**
   * Returns the tree id that a commit of all changes would give a directory; undefined if only git
   * can tell.
   */
  currentTree(path: string): string | undefined;
  /** Reports whether anything below the directory differs between HEAD, index and work tree. */
  isChanged(path: string): boolean;
  /** Returns the changed files below the directory, sorted; one char per byte, from the top. */
  changes(path: string): readonly string[];
  /** Reports whether the directory has files that are neither tracked nor ignored. */
  hasUntracked(path: string): boolean;
  /**
   * Returns the tracked files that exist in the work tree, then the untracked files that are not
   * ignored.
   */
  files(path: string): readonly WorkFile[];
}

/**
 * Returns the top of the work tree that contains `dir`; undefined outside of a work tree.
 * @throws GIT_FAILED if git rejects the repository, for example because of its owner
 * @throws TOOL_MISSING if there is a repository, but git is not installed
 */
export async function findTop(git: Git, dir: string): Promise<string | undefined> {
  const plain = findTopWithoutGit(dir, git.env);
  if (plain !== undefined) return plain;
  if (isOutside(dir)) return undefined;
  try {
    const { stdout } = await git.run(dir, [
      'rev-parse',
      '--is-inside-work-tree',
      '--show-toplevel',
    ]);
    const [inside, top] = stdout.split('\n');
    return inside === 'true' && top !== undefined && top !== ''
      ? await realpath(Buffer.from(top, 'latin1').toString())
      : undefined;
  } catch (error) {
    if (error instanceof LktError && error.code === 'TOOL_MISSING' && !hasGitAbove(dir))
      return undefined;
    // Any other failure, such as a repository of another user, must not count as "not in git".
    if (error instanceof LktError && OUTSIDE.test(error.detail ?? error.message)) return undefined;
    throw error;
  }
}

const OUTSIDE = /not a git repository|must be run in a work tree/;

function hasGitAbove(dir: string): boolean {
  if (exists(join(dir, '.git'))) return true;
  return dirname(dir) !== dir && hasGitAbove(dirname(dir));
}

/**
 * Reads the state of `dirs`, which are absolute, without symlinks, and inside the work tree at
 * `root`.
 * @throws TOOL_MISSING, GIT_FAILED
 * @example
 * ```ts
 * const repository = await readRepository(git, top, [join(top, 'pkg/sshd')]);
 * if (!repository.isChanged('pkg/sshd')) return repository.headTree('pkg/sshd');
 * ```
 */
export async function readRepository(
  git: Git,
  root: string,
  dirs: readonly string[],
  signal?: AbortSignal,
): Promise<Repository> {
  const pathOf = (dir: string): string => bytes(relative(root, dir));
  const paths = [...new Set(dirs.map(pathOf))];
  const { trees, currentTrees, changed, untracked, files }: State =
    readWorkTree(root, paths, git.env) ?? (await gitState(git, root, paths, signal));
  const different = [...new Set([...changed, ...untracked])].toSorted();
  return {
    root,
    pathOf,
    headTree: (path) => trees.get(path),
    currentTree: (path) => currentTrees?.get(path),
    isChanged: (path) => different.some((item) => isUnder(item, path)),
    changes: (path) => different.filter((item) => isUnder(item, path)),
    hasUntracked: (path) => untracked.some((item) => isUnder(item, path)),
    files: (path) => files.filter((file) => isUnder(file.path, path)),
  };
}

/** The state of directories; paths are from the top, one char per byte. */
interface State {
  /** Tree ids in HEAD by path. */
  readonly trees: ReadonlyMap<string, string>;
  /** Tree ids that a commit would give them, by path; undefined if only git can tell. */
  readonly currentTrees: ReadonlyMap<string, string> | undefined;
  readonly changed: readonly string[];
  readonly untracked: readonly string[];
  readonly files: readonly WorkFile[];
}

async function gitState(
  git: Git,
  root: string,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<State> {
  const specs = paths.map((path) => (path === '' ? '.' : Buffer.from(path, 'latin1').toString()));
  const [trees, { changed, untracked, deleted }, tracked] = await Promise.all([
    readTrees(git, root, paths, 'HEAD', signal),
    readChanges(git, root, specs, signal),
    readTracked(git, root, specs, signal),
  ]);
  const present = tracked.filter(({ path }) => !deleted.has(path));
  const added = untracked.map((path) => ({ path, mode: undefined }));
  const files = [...present, ...added];
  const staged = paths.flatMap((path) =>
    unreportedChanges(path, trees.get(path), tracked, changed),
  );
  return { trees, currentTrees: undefined, changed: [...changed, ...staged], untracked, files };
}

/**
 * Returns the tracked files of a directory if they are not those of HEAD, though `git status`
 * reports no change. It believes the tree ids in the index, and objects under a false id; a hostile
 * checkout may have either.
 */
function unreportedChanges(
  path: string,
  tree: string | undefined,
  tracked: readonly TrackedFile[],
  changed: readonly string[],
): readonly string[] {
  if (tree === undefined || changed.some((item) => isUnder(item, path))) return [];
  const skip = path === '' ? 0 : path.length + 1;
  const inside = tracked.filter((file) => isUnder(file.path, path));
  const id = gitTreeId(inside.map((file) => ({ ...file, path: file.path.slice(skip) })));
  return id === tree ? [] : inside.map((file) => file.path);
}

/**
 * Returns the tree ids of directories in a commit, by path. Empty if HEAD has no commit yet.
 * @throws GIT_FAILED if `commit` does not exist
 */
export async function readTrees(
  git: Git,
  root: string,
  paths: readonly string[],
  commit: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const verify = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${commit}^{tree}`];
  const { stdout, exit } = await git.run(root, verify, { exits: [1], signal });
  if (exit !== 0) {
    if (commit === 'HEAD') return new Map();
    throw new LktError('GIT_FAILED', `git has no commit "${commit}"`);
  }
  const top = stdout.trim();
  const trees = new Map([['', top]]);
  const named = paths.filter((path) => path !== '');
  if (named.length === 0) return trees;
  const names = named.map((path) => Buffer.from(path, 'latin1').toString());
  // Without -t, a directory is not listed if one in it is, too.
  const list = ['ls-tree', '-t', '-z', '--full-tree', '--end-of-options', top, '--', ...names];
  for (const record of splitRecords((await git.run(root, list, { signal })).stdout)) {
    const match = /^\d{6} tree ([0-9a-f]+)\t(.+)$/s.exec(record);
    if (match?.[1] !== undefined && match[2] !== undefined) trees.set(match[2], match[1]);
  }
  return trees;
}

async function readChanges(
  git: Git,
  root: string,
  specs: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ changed: string[]; untracked: string[]; deleted: ReadonlySet<string> }> {
  const { stdout } = await git.run(
    root,
    [
      'status',
      '--porcelain=v1',
      '-z',
      '--no-renames',
      '--untracked-files=all',
      // Status inside a submodule would depend on its own configuration. Builds reject submodules.
      '--ignore-submodules=dirty',
      '--',
      ...specs,
    ],
    { signal },
  );
  const changed: string[] = [];
  const untracked: string[] = [];
  const deleted = new Set<string>();
  for (const record of splitRecords(stdout)) {
    const path = record.slice(3);
    (record.startsWith('?? ') ? untracked : changed).push(path);
    if (record[1] === 'D') deleted.add(path);
  }
  return { changed, untracked, deleted };
}

async function readTracked(
  git: Git,
  root: string,
  specs: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly TrackedFile[]> {
  const { stdout } = await git.run(root, ['ls-files', '-z', '-v', '-s', '--', ...specs], {
    signal,
  });
  const files = new Map<string, TrackedFile>();
  for (const record of splitRecords(stdout)) {
    const [, flag = '', mode, id, path] = /^(\S) (\d{6}) ([0-9a-f]+) \d\t(.+)$/s.exec(record) ?? [];
    if (mode === undefined || id === undefined || path === undefined) continue;
    if (/[a-z]/.test(flag)) throw assumedUnchanged(path);
    files.set(path, { path, mode, id, skipped: flag === 'S' });
  }
  return [...files.values()];
}

function assumedUnchanged(path: string): LktError {
  const name = Buffer.from(path, 'latin1').toString();
  const message = `${JSON.stringify(name)} is marked assume-unchanged, so git does not notice its changes`;
  return new LktError('UNSUPPORTED', message, {
    fix: `run: git update-index --no-assume-unchanged ${JSON.stringify(name)}`,
  });
}

/** Reports whether the absolute `path` is `parent` or inside it. */
export function isInside(path: string, parent: string): boolean {
  const way = relative(parent, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** Converts text to one char per byte of its UTF-8. */
function bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** Returns the NUL-terminated records of git's `-z` output. */
export function splitRecords(stdout: string): string[] {
  return stdout.split('\0').filter((record) => record !== '');
}
