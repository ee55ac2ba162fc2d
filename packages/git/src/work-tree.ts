// Loads little code, because every command starts with it.

import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import type { Environment } from './command.ts';
import { ATTRIBUTES, type MayConvert, readConversions } from './conversions.ts';
import { findGitDirectory, type GitDirectory, headCommit, isOutsideGit } from './directory.ts';
import { IgnoreRules } from './ignore-rules.ts';
import { type IndexEntry, readIndex } from './index-file.ts';
import { ObjectDatabase } from './object-database.ts';
import { parseCommit, parseTree, type TreeEntry } from './objects.ts';
import { isUnder, parentOf } from './paths.ts';
import { readSettings } from './settings.ts';
import { stagedChanges } from './staged-changes.ts';
import { directoriesOf, isNamed } from './tracked-directories.ts';
import { asTree, type Directory, type GitFile, treeId } from './tree-id.ts';
import {
  compareDirectory,
  compareFile,
  type Comparison,
  type FileNow,
  readFile,
} from './unstaged-changes.ts';
import { isIgnoredDirectory, untrackedFiles } from './untracked-files.ts';

export { type Environment, isUnder };

/** Directories of a work tree, and their differences to HEAD. */
export interface WorkTree {
  /** Tree ids of the directories that HEAD has, by path. */
  readonly trees: ReadonlyMap<string, string>;
  /** Tree ids that a commit of all changes would give the directories, by path. */
  readonly currentTrees: ReadonlyMap<string, string>;
  /** The files in the directories that differ between HEAD, index and work tree; from the top. */
  readonly changed: readonly string[];
  /** The files in the directories that git neither tracks nor ignores, sorted, from the top. */
  readonly untracked: readonly string[];
  /**
   * The directories in the whole work tree that have a tracked file of a given name, as
   * `trackedDirectories` returns them.
   */
  readonly named: readonly string[];
  /**
   * The tracked files that the directories have, then the untracked ones; paths are relative to the
   * top. The mode is that in the index.
   */
  readonly files: readonly { readonly path: string; readonly mode: string | undefined }[];
}

/** Options of reading a work tree. */
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
 * Reports whether `dir`, an absolute path without symlinks, is certainly in no repository. False if
 * only git can tell.
 */
export function isOutside(dir: string): boolean {
  return attempt(() => isOutsideGit(dir)) === true;
}

/**
 * Reads directories without starting git, in a tenth of its time. Compares files with the index by
 * their stats, and changed ones by content, and the index with the trees of HEAD, as git does.
 * Returns undefined for anything complicated: repositories in a directory, unusual settings and
 * patterns to ignore, and changed files that git may convert. The caller then asks git.
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
    const commit = headCommit(found);
    if (commit === undefined || commit === '') return commit === '' ? false : undefined;
    const { entriesAt } = treesOf(new ObjectDatabase(join(found.commonDir, 'objects')), commit);
    const comparison = newComparison(() => true);
    const isUnedited = entries.every((entry) => {
      const path = join(top, fromBytes(entry.path));
      return compareFile(path, entry, lstatSync(path, { bigint: true }), comparison);
    });
    const isHead = entries.every(({ path, mode, id }) => {
      const entry = entriesAt(parentOf(path)).get(path.slice(path.lastIndexOf('/') + 1));
      return entry?.id === id && entry.mode === mode;
    });
    return isUnedited && isHead ? true : undefined;
  });
}

function newComparison(mayConvert: MayConvert, bytesLeft = MAX_BYTES): Comparison {
  return { changes: new Map(), hasUntracked: false, bytesLeft, mayConvert };
}

/**
 * Returns undefined for any error: the caller then asks git, which reports it better.
 * @throws IO_FAILED for a pipe, a socket or a device, for which git would wait
 */
function attempt<T>(work: () => T | undefined): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof LktError && error.code === 'IO_FAILED') throw error;
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
  const hasAttributes = isNamed(ATTRIBUTES);
  const attributes = new Set<string>();
  let [last, isLastWanted] = ['', isIn('', wanted)];
  // One pass: decoding the paths takes most of the time. The files of a directory are in a row.
  const isWanted = (path: string): boolean => {
    if (hasName(path)) named.push(path);
    const parent = parentOf(path);
    if (hasAttributes(path)) attributes.add(parent);
    if (parent !== last) [last, isLastWanted] = [parent, isIn(parent, wanted)];
    return isLastWanted;
  };
  const index = readIndex(join(found.gitDir, 'index'), isWanted);
  if (index === undefined || index.entries.length > MAX_FILES) return undefined;
  const objects = new ObjectDatabase(join(found.commonDir, 'objects'));
  const { treeAt } = treesOf(objects, commit);
  const root = asTree(index.entries);
  const rules = once(() => new IgnoreRules(found, readSettings(found, env)));
  const conversions = once(() => readConversions(found, env, attributes));
  const comparison = newComparison((path, hasReturn) => conversions()(path, hasReturn), maxBytes);
  const { changes } = comparison;
  const trees = new Map<string, string>();
  const different = new Set<string>();
  const untracked = new Map<string, FileNow>();
  for (const path of paths) {
    const id = treeAt(path);
    if (id !== undefined) trees.set(path, id);
    // Another of the directories contains it.
    if (path !== '' && isIn(parentOf(path), wanted)) continue;
    const directory: Directory<IndexEntry> = directoryAt(root, path) ?? new Map();
    for (const one of stagedChanges(path, id, directory, objects)) different.add(one);
    const dir = join(found.top, fromBytes(path));
    comparison.hasUntracked = false;
    if (!compareDirectory(dir, directory, path === '', comparison)) return undefined;
    if (!comparison.hasUntracked) continue;
    // Git refuses to add it.
    if (isIgnoredDirectory(path, rules())) return undefined;
    for (const one of untrackedFiles(found.top, path, directory, rules())) {
      const absolute = join(found.top, fromBytes(one));
      const now = readFile(absolute, one, lstatSync(absolute, { bigint: true }), comparison);
      if (now === undefined || untracked.size > MAX_FILES) return undefined;
      untracked.set(one, now);
    }
  }
  const files = [
    ...index.entries.filter(({ path }) => !changes.has(path) || changes.get(path) !== undefined),
    ...[...untracked.keys()].toSorted().map((path) => ({ path, mode: undefined })),
  ];
  for (const path of changes.keys()) different.add(path);
  const stale = new Set([...different, ...untracked.keys()].flatMap(parentsOf));
  const current = once(() => asTree(currentFiles(index.entries, changes, untracked)));
  const currentTrees = new Map<string, string>();
  for (const path of paths) {
    const id = trees.get(path);
    // Git refuses to add a directory without files.
    if (id === undefined && !stale.has(path)) return undefined;
    const currentId = stale.has(path) || id === undefined ? treeIdAt(current(), path) : id;
    currentTrees.set(path, currentId);
  }
  return {
    trees,
    currentTrees,
    changed: [...different].toSorted(),
    untracked: [...untracked.keys()].toSorted(),
    named: directoriesOf(named),
    files,
  };
}

/** Returns a function that calls another when it is first called. */
function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Returns the files as a commit would have them. */
function currentFiles(
  entries: readonly IndexEntry[],
  changes: Comparison['changes'],
  untracked: ReadonlyMap<string, FileNow>,
): readonly GitFile[] {
  const tracked = entries.flatMap(({ path, mode, id }) => {
    const now = changes.has(path) ? changes.get(path) : { mode, id };
    return now === undefined ? [] : [{ path, ...now }];
  });
  return [...tracked, ...[...untracked].map(([path, now]) => ({ path, ...now }))];
}

function treeIdAt(root: Directory<GitFile>, path: string): string {
  return treeId(directoryAt(root, path) ?? new Map(), 'sha1');
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

/** The trees of a commit. Paths are from the top, with one char per byte. */
interface Trees {
  /** Returns the tree id of a directory; undefined if the commit does not have it. */
  readonly treeAt: (path: string) => string | undefined;
  /** Returns the entries of a directory by name; none if the commit does not have it. */
  readonly entriesAt: (path: string) => ReadonlyMap<string, TreeEntry>;
}

/** Returns the trees of a commit, whose id is '' before the first. */
function treesOf(objects: ObjectDatabase, commit: string): Trees {
  if (commit === '') return { treeAt: () => undefined, entriesAt: () => new Map() };
  const object = objects.read(commit);
  const top = object?.type === 'commit' ? parseCommit(object.content).tree : undefined;
  if (top === undefined) throw new Error(`there is no commit ${commit}`);
  const known = new Map<string, ReadonlyMap<string, TreeEntry>>();
  const treeAt: Trees['treeAt'] = (path) => {
    if (path === '') return top;
    const entry = entriesAt(parentOf(path)).get(path.slice(path.lastIndexOf('/') + 1));
    return entry?.mode === '40000' ? entry.id : undefined;
  };
  const entriesAt: Trees['entriesAt'] = (path) => {
    const entries = known.get(path) ?? entriesIn(objects, treeAt(path));
    known.set(path, entries);
    return entries;
  };
  return { treeAt, entriesAt };
}

/** Returns the entries of a tree, by name; none without a tree. */
function entriesIn(
  objects: ObjectDatabase,
  id: string | undefined,
): ReadonlyMap<string, TreeEntry> {
  if (id === undefined) return new Map();
  const object = objects.read(id);
  if (object?.type !== 'tree') throw new Error(`there is no tree ${id}`);
  return new Map([...parseTree(id, object.content)].map((entry) => [entry.name, entry]));
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
