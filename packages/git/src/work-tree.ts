// Loads little code, because every command starts with it.

import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './command.ts';
import { type MayConvert, readConversions } from './conversions.ts';
import { findGitDirectory, type GitDirectory, headCommit } from './directory.ts';
import { type IndexEntry, readIndex } from './index-file.ts';
import { ObjectDatabase } from './object-database.ts';
import { parseCommit, parseTree } from './objects.ts';
import { directoriesOf, isNamed } from './tracked-directories.ts';
import { asTree, type Directory, type GitFile, treeId } from './tree-id.ts';
import { compareDirectory, compareFile, type Comparison } from './unstaged-changes.ts';

export type { Environment };

/** Directories of a work tree, and their differences to HEAD. */
export interface WorkTree {
  /** Tree ids of the directories in HEAD, by path. */
  readonly trees: ReadonlyMap<string, string>;
  /** Tree ids that a commit of all changes would give the directories, by path. */
  readonly currentTrees: ReadonlyMap<string, string>;
  /** The files in the directories that were edited or deleted, as paths from the top. */
  readonly changed: readonly string[];
  /**
   * The directories in the whole work tree that have a tracked file of a given name, as
   * `trackedDirectories` returns them.
   */
  readonly named: readonly string[];
  /** All files that the directories have; paths are relative to the top. */
  readonly files: readonly Pick<IndexEntry, 'path' | 'mode'>[];
}

export interface ReadOptions {
  /** The file name for `named`; default: none. */
  readonly name?: string;
  /** Maximum number of bytes to read from files that may have changed; default: 1 GiB. */
  readonly maxBytes?: number;
}

/**
 * Above this limit git is faster, because it stats files with several threads. If git then finds a
 * change, all files are read again.
 */
const MAX_FILES = 20_000;
const MAX_BYTES = 1024 * 1024 * 1024;

/** Returns the top of the work tree that contains `dir`; undefined if only git can tell. */
export function findTopWithoutGit(dir: string, env: Environment): string | undefined {
  return attempt(() => findGitDirectory(dir, env)?.top);
}

/**
 * Reads directories without starting git, in a tenth of its time. Compares files with the index by
 * their stats, and changed ones by content, and the index with the trees of HEAD, as git does.
 * Returns undefined for anything complicated: staged changes, files that are not in the index, such
 * as ignored ones, and changed files that git may convert. The caller then asks git.
 * @param top of the work tree; without symlinks
 * @param paths of directories from the top; '' for the top itself; one char per byte
 */
export function readWorkTree(
  top: string,
  paths: readonly string[],
  env: Environment,
  options: ReadOptions = {},
): WorkTree | undefined {
  return attempt(() => {
    const found = findGitDirectory(top, env);
    return found?.top === top ? readDirectories(found, paths, env, options) : undefined;
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
    const changes: Comparison['changes'] = new Map();
    const comparison = { changes, bytesLeft: MAX_BYTES, mayConvert: () => true };
    const isUnedited = entries.every((entry) => {
      const path = join(top, fromBytes(entry.path));
      return compareFile(path, entry, lstatSync(path, { bigint: true }), comparison);
    });
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

function readDirectories(
  found: GitDirectory,
  paths: readonly string[],
  env: Environment,
  { name, maxBytes = MAX_BYTES }: ReadOptions,
): WorkTree | undefined {
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
  const known = index.trees();
  const headTree = treesOf(new ObjectDatabase(join(found.commonDir, 'objects')), commit, known);
  const root = asTree(index.entries);
  const mayConvert = converter(found, env);
  const comparison: Comparison = { changes: new Map(), bytesLeft: maxBytes, mayConvert };
  const trees = new Map<string, string>();
  for (const path of paths) {
    const directory = directoryAt(root, path);
    const id = headTree(path);
    if (!directory || id === undefined) return undefined;
    if ((known.get(path) ?? treeId(directory, 'sha1')) !== id) return undefined;
    const isInAnother = path !== '' && isIn(parentOf(path), wanted);
    const dir = join(found.top, fromBytes(path));
    if (!isInAnother && !compareDirectory(dir, directory, path === '', comparison))
      return undefined;
    trees.set(path, id);
  }
  const { changes } = comparison;
  return {
    trees,
    currentTrees: currentTrees(trees, index.entries, changes),
    changed: [...changes.keys()].toSorted(),
    named: directoriesOf(named),
    files: index.entries.filter(
      ({ path }) => !changes.has(path) || changes.get(path) !== undefined,
    ),
  };
}

/** Returns a function that reads git's configuration when it is first called. */
function converter(found: GitDirectory, env: Environment): MayConvert {
  let conversions: MayConvert | undefined;
  return (path) => {
    conversions ??= readConversions(found, env);
    return conversions(path);
  };
}

/** Returns the tree ids of directories with changes. */
function currentTrees(
  trees: ReadonlyMap<string, string>,
  entries: readonly IndexEntry[],
  changes: Comparison['changes'],
): ReadonlyMap<string, string> {
  if (changes.size === 0) return trees;
  const files = entries.flatMap(({ path, mode, id }) => {
    const now = changes.has(path) ? changes.get(path) : id;
    return now === undefined ? [] : [{ path, mode, id: now }];
  });
  const root = asTree(files);
  const changed = new Set([...changes.keys()].flatMap(parentsOf));
  return new Map(
    [...trees].map(([path, id]) => [
      path,
      changed.has(path) ? treeId(directoryAt(root, path) ?? new Map(), 'sha1') : id,
    ]),
  );
}

/** Returns the directories above a path, up to '' for the top. */
function parentsOf(path: string): readonly string[] {
  const parent = parentOf(path);
  return parent === '' ? [''] : [parent, ...parentsOf(parent)];
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

function directoryAt<File extends GitFile>(
  root: Directory<File>,
  path: string,
): Directory<File> | undefined {
  let at = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const next = at.get(name);
    if (!(next instanceof Map)) return undefined;
    at = next;
  }
  return at.size === 0 ? undefined : at;
}

function fromBytes(text: string): string {
  return Buffer.from(text, 'latin1').toString();
}
