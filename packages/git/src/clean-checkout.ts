// Loads little code, because every command starts with it.

import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './command.ts';
import { findGitDirectory, type GitDirectory, headCommit } from './directory.ts';
import { type IndexEntry, readIndex } from './index-file.ts';
import { ObjectDatabase } from './object-database.ts';
import { objectId, parseCommit, parseTree } from './objects.ts';
import { directoriesOf, isNamed } from './tracked-directories.ts';
import { asTree, type Directory, treeId } from './tree-id.ts';

export type { Environment };

/** Directories of a work tree without differences to HEAD. */
export interface CleanCheckout {
  /** Tree ids of the directories, by path. */
  readonly trees: ReadonlyMap<string, string>;
  /**
   * The directories in the whole work tree that have a tracked file of a given name, as
   * `trackedDirectories` returns them.
   */
  readonly named: readonly string[];
  /** All files in the directories; paths are relative to the top. */
  readonly files: readonly Pick<IndexEntry, 'path' | 'mode'>[];
}

/**
 * Above this limit git is faster, because it stats files with several threads. If git then finds a
 * change, all files are read again.
 */
const MAX_FILES = 20_000;

/** Returns the top of the work tree that contains `dir`; undefined if only git can tell. */
export function findTopWithoutGit(dir: string, env: Environment): string | undefined {
  return attempt(() => findGitDirectory(dir, env)?.top);
}

/**
 * Reads directories without starting git, in a tenth of its time, if they are unchanged. Compares
 * files with the index by their stats, and the index with the trees of HEAD, as git does. Returns
 * undefined if something changed, or for anything complicated such as ignored files; the caller
 * then asks git.
 * @param top of the work tree; without symlinks
 * @param paths of directories from the top; '' for the top itself; one char per byte
 * @param name file name for `named`; default: none
 */
export function readCleanCheckout(
  top: string,
  paths: readonly string[],
  env: Environment,
  name?: string,
): CleanCheckout | undefined {
  return attempt(() => {
    const found = findGitDirectory(top, env);
    return found?.top === top ? readClean(found, paths, name) : undefined;
  });
}

/**
 * Reports whether files are in HEAD, and unchanged in the work tree. Returns undefined if only git
 * can tell, as for any change.
 * @param top of the work tree; without symlinks
 * @param paths of files from the top; one char per byte
 */
export function areCommitted(
  top: string,
  paths: readonly string[],
  env: Environment,
): boolean | undefined {
  return attempt(() => {
    const found = findGitDirectory(top, env);
    if (found?.top !== top) return undefined;
    const wanted = new Set(paths);
    const index = readIndex(join(found.gitDir, 'index'), (path) => wanted.has(path));
    if (index === undefined) return undefined;
    const { entries } = index;
    if (entries.length < wanted.size) return false;
    const isUnedited = entries.every((entry) =>
      isSameFile(join(top, fromBytes(entry.path)), entry),
    );
    return isUnedited && isHead(found, index.trees()) ? true : undefined;
  });
}

/** Reports whether the index equals HEAD. */
function isHead(found: GitDirectory, inIndex: ReadonlyMap<string, string>): boolean {
  const commit = headCommit(found);
  if (commit === undefined || !inIndex.has('')) return false;
  const objects = new ObjectDatabase(join(found.commonDir, 'objects'));
  return treesOf(objects, commit, inIndex)('') === inIndex.get('');
}

/** Returns undefined for any error: the caller then asks git, which reports it better. */
function attempt<T>(work: () => T | undefined): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function readClean(
  found: GitDirectory,
  paths: readonly string[],
  name: string | undefined,
): CleanCheckout | undefined {
  const commit = headCommit(found);
  if (commit === undefined) return undefined;
  const wanted = new Set(paths);
  const hasName = name === undefined ? () => false : isNamed(name);
  const named: string[] = [];
  let [last, isLastWanted] = ['', isIn('', wanted)];
  // One pass: decoding the paths takes most of the time. The files of a directory are in a row.
  const isWanted = (path: string): boolean => {
    if (hasName(path)) named.push(path);
    const parent = parentOf(path);
    if (parent !== last) [last, isLastWanted] = [parent, isIn(parent, wanted)];
    return isLastWanted;
  };
  const index = readIndex(join(found.gitDir, 'index'), isWanted);
  if (index === undefined || index.entries.length > MAX_FILES) return undefined;
  const [files, known] = [index.entries, index.trees()];
  const headTree = treesOf(new ObjectDatabase(join(found.commonDir, 'objects')), commit, known);
  const root = asTree(files);
  const trees = new Map<string, string>();
  for (const path of paths) {
    const directory = directoryAt(root, path);
    const id = headTree(path);
    if (!directory || id === undefined) return undefined;
    if ((known.get(path) ?? treeId(directory, 'sha1')) !== id) return undefined;
    const isInAnother = path !== '' && isIn(parentOf(path), wanted);
    if (!isInAnother && !isUnchanged(join(found.top, fromBytes(path)), directory, path === ''))
      return undefined;
    trees.set(path, id);
  }
  return { trees, named: directoriesOf(named), files };
}

/** Reports whether a directory is one of `directories`, or in one; '' is the top. */
function isIn(path: string, directories: ReadonlySet<string>): boolean {
  for (let at = path; at !== ''; at = parentOf(at)) if (directories.has(at)) return true;
  return directories.has('');
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/**
 * Returns a function that returns the tree id of a directory in a commit.
 * @param inIndex the tree ids of the index: they are those of the commit if that of the top is
 */
function treesOf(
  objects: ObjectDatabase,
  commit: string,
  inIndex: ReadonlyMap<string, string>,
): (path: string) => string | undefined {
  const object = objects.read(commit);
  const top = object?.type === 'commit' ? parseCommit(object.content).tree : undefined;
  if (top !== undefined && inIndex.get('') === top) return (path) => inIndex.get(path);
  /** The tree ids of the directories in a directory, by its path. */
  const known = new Map<string, ReadonlyMap<string, string>>();
  const treeAt = (path: string): string | undefined => {
    if (path === '') return top;
    const parent = parentOf(path);
    const siblings = known.get(parent) ?? directoriesIn(objects, treeAt(parent));
    known.set(parent, siblings);
    return siblings.get(path.slice(path.lastIndexOf('/') + 1));
  };
  return treeAt;
}

/** Returns the tree ids of the directories in a tree, by name; none if there is no such tree. */
function directoriesIn(
  objects: ObjectDatabase,
  id: string | undefined,
): ReadonlyMap<string, string> {
  const object = id === undefined ? undefined : objects.read(id);
  if (id === undefined || object?.type !== 'tree') return new Map();
  const entries = [...parseTree(id, object.content)].filter(({ mode }) => mode === '40000');
  return new Map(entries.map((entry) => [entry.name, entry.id]));
}

function directoryAt(root: Directory<IndexEntry>, path: string): typeof root | undefined {
  let at = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const next = at.get(name);
    if (!(next instanceof Map)) return undefined;
    at = next;
  }
  return at.size === 0 ? undefined : at;
}

/** Reports whether a directory contains exactly the files of the index, all unchanged. */
function isUnchanged(dir: string, known: Directory<IndexEntry>, isTop: boolean): boolean {
  let seen = 0;
  for (const name of readdirSync(dir, 'latin1')) {
    if (isTop && name === '.git') continue;
    const node = known.get(name);
    if (node === undefined) return false;
    seen += 1;
    const path = `${dir}/${fromBytes(name)}`;
    const stats = lstatSync(path, { bigint: true });
    if (node instanceof Map) {
      if (!stats.isDirectory() || !isUnchanged(path, node, false)) return false;
    } else if (!isSameFile(path, node, stats)) return false;
  }
  return seen === known.size;
}

/** A longer file is left to git if its times cannot tell. */
const MAX_COMPARED_BYTES = 1024 * 1024;

/**
 * Reports whether a file is unchanged since it was added; false if only git can tell. After a clone
 * or a checkout, the last files were written in the same tick as the index, and their contents must
 * be compared, until a command of git writes the index again. A content with the id of the index is
 * committed, whatever git's filters would make of it.
 */
function isSameFile(
  path: string,
  entry: IndexEntry,
  stats: BigIntStats = lstatSync(path, { bigint: true }),
): boolean {
  if (!entry.matches(stats)) return false;
  if (entry.isSettled(stats)) return true;
  if (stats.size > MAX_COMPARED_BYTES) return false;
  const content = stats.isSymbolicLink()
    ? readlinkSync(path, { encoding: 'buffer' })
    : readFileSync(path);
  return objectId('sha1', 'blob', content) === entry.id;
}

function fromBytes(text: string): string {
  return Buffer.from(text, 'latin1').toString();
}
