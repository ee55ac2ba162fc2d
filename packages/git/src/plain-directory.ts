import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { relative } from 'node:path';
import { LktError } from '@lkt/core';
import { objectId } from './objects.ts';
import { isUnder } from './paths.ts';
import type { Repository } from './repository.ts';
import { type GitFile, gitTreeId } from './tree-id.ts';

/**
 * Returns the state of directories outside git, such as an installed npm package, as if all their
 * files were committed. Tree ids equal those of a commit with the same files, modes and links.
 * Synchronous, because the thread pool takes longer for so few bytes.
 * @param root absolute, without symlinks; files above it are not read
 * @param dirs absolute directories inside `root`
 * @throws IO_FAILED if a file cannot be read
 * @throws UNSUPPORTED for a pipe, a socket or a device
 */
export function readPlainDirectory(root: string, dirs: readonly string[]): Repository {
  const pathOf = (dir: string): string => Buffer.from(relative(root, dir)).toString('latin1');
  const files = new Map<string, GitFile>();
  const trees = new Map<string, string>();
  for (const path of new Set(dirs.map(pathOf))) {
    const inside: GitFile[] = [];
    const problem = readBelow(root, path, { skipped: SKIPPED, bytesLeft: Infinity }, inside);
    if (problem !== undefined) throw errorOf(problem);
    for (const file of inside) files.set(file.path, file);
    if (inside.length > 0) trees.set(path, treeIdBelow(inside, path));
  }
  const all = [...files.values()];
  return {
    root,
    pathOf,
    headTree: (path) => trees.get(path),
    currentTree: (path) => trees.get(path),
    isChanged: () => false,
    changes: () => [],
    hasUntracked: () => false,
    files: (path) => all.filter((file) => isUnder(file.path, path)),
  };
}

function treeIdBelow(files: readonly GitFile[], path: string): string {
  const skip = path === '' ? 0 : path.length + 1;
  return gitTreeId(files.map((file) => ({ ...file, path: file.path.slice(skip) })));
}

/** Hashes directories with all their files, until it has read too much. */
export class WholeDirectories {
  readonly #trees = new Map<string, string | undefined>();
  readonly #limit: Limit;

  /** @param maxBytes of all directories together; a file without content counts too */
  constructor(maxBytes: number) {
    this.#limit = { skipped: new Set(), bytesLeft: maxBytes };
  }

  /**
   * Returns the tree id that a commit of all files would give an absolute directory, once read also
   * after a change. Undefined if a file is unreadable, or neither a file, a link nor a directory,
   * or if that would be too many bytes.
   */
  tree(dir: string): string | undefined {
    if (!this.#trees.has(dir)) this.#trees.set(dir, this.#read(dir));
    return this.#trees.get(dir);
  }

  #read(dir: string): string | undefined {
    const files: GitFile[] = [];
    return readBelow(dir, '', this.#limit, files) === undefined ? gitTreeId(files) : undefined;
  }
}

/** Bounds of reading a directory. */
interface Limit {
  /** Names of files and directories that are left out. */
  readonly skipped: ReadonlySet<string>;
  bytesLeft: number;
}

/** Why the files of a directory have no ids. */
type Problem =
  | { readonly kind: 'unreadable'; readonly path: string; readonly cause: unknown }
  /** A pipe, a socket or a device. */
  | { readonly kind: 'special'; readonly path: string }
  | { readonly kind: 'limit'; readonly path: string };

function errorOf(problem: Problem): LktError {
  const { kind, path } = problem;
  if (kind === 'unreadable')
    return new LktError('IO_FAILED', `cannot read ${path}`, { cause: problem.cause });
  if (kind === 'limit') return new LktError('UNSUPPORTED', `${path} exceeds the limit of bytes`);
  return new LktError('UNSUPPORTED', `${path} is not a file, directory or symlink`, {
    fix: 'remove it',
  });
}

/** Adds the files below a path to `files`, until the first problem. */
function readBelow(
  root: string,
  path: string,
  limit: Limit,
  files: GitFile[],
): Problem | undefined {
  const dir = absoluteOf(root, path);
  let names: readonly Buffer[];
  try {
    names = readdirSync(dir, { encoding: 'buffer' });
  } catch (cause) {
    return { kind: 'unreadable', path: dir.toString(), cause };
  }
  for (const name of names) {
    if (limit.skipped.has(name.toString())) continue;
    const text = name.toString('latin1');
    const problem = readEntry(root, path === '' ? text : `${path}/${text}`, limit, files);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Names that no collection has: data of git, and dependencies installed by npm. */
const SKIPPED: ReadonlySet<string> = new Set(['.git', 'node_modules']);

/** Bytes that an entry counts besides its content. */
const ENTRY_BYTES = 512;

function readEntry(
  root: string,
  path: string,
  limit: Limit,
  files: GitFile[],
): Problem | undefined {
  const absolute = absoluteOf(root, path);
  try {
    const stats = lstatSync(absolute);
    const bytes = ENTRY_BYTES + (stats.isFile() ? stats.size : 0);
    if (bytes > limit.bytesLeft) return { kind: 'limit', path: absolute.toString() };
    limit.bytesLeft -= bytes;
    if (stats.isDirectory()) return readBelow(root, path, limit, files);
    if (stats.isSymbolicLink()) {
      const target = readlinkSync(absolute, { encoding: 'buffer' });
      files.push({ path, mode: '120000', id: objectId('sha1', 'blob', target) });
    } else if (stats.isFile()) {
      const mode = (stats.mode & 0o100) === 0 ? '100644' : '100755';
      files.push({ path, mode, id: objectId('sha1', 'blob', readFileSync(absolute)) });
    } else {
      return { kind: 'special', path: absolute.toString() };
    }
  } catch (cause) {
    return { kind: 'unreadable', path: absolute.toString(), cause };
  }
  return undefined;
}

function absoluteOf(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}
