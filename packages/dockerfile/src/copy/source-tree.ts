import { posix } from 'node:path';
import type { EntryType, RawPath } from '@lkt/oci';

/** The files that a COPY reads: the build context, or the file system of a stage or image. */
export interface SourceTree {
  /**
   * Returns a node without following symlinks; '' is the root. undefined if the path does not
   * exist.
   */
  node(path: RawPath): SourceNode | undefined;
  /** Returns the names in a directory in byte order; empty for any other node. */
  names(path: RawPath): readonly string[];
}

/** A file, directory, symlink or device of a `SourceTree`. */
export interface SourceNode {
  readonly type: EntryType;
  /** The target of a symlink, as stored. */
  readonly link?: RawPath;
}

/**
 * Resolves the symlinks in a path as if the tree were the root of the file system. Returns
 * undefined if the target does not exist, or for a loop.
 * @param followed where the path of each symlink is added
 */
export function resolveLinks(
  tree: SourceTree,
  path: RawPath,
  followed: RawPath[] = [],
): RawPath | undefined {
  let pending = path.split('/');
  let resolved: RawPath = '';
  while (pending.length > 0) {
    const [part = '', ...rest] = pending;
    pending = rest;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved = parentsOf(resolved).at(-1) ?? '';
      continue;
    }
    const next = joinPath(resolved, part);
    const node = tree.node(next);
    if (node === undefined) return undefined;
    if (node.type !== 'symlink') {
      resolved = next;
      continue;
    }
    followed.push(next);
    if (followed.length > MAX_LINKS) return undefined;
    const link = node.link ?? '';
    if (link.startsWith('/')) resolved = '';
    pending = [...link.split('/'), ...pending];
  }
  return resolved;
}

/** The limit of Linux: a path with more symlinks counts as a loop. */
const MAX_LINKS = 40;

/** Returns `directory/name`; an empty part adds no slash. */
export function joinPath(directory: RawPath, name: string): RawPath {
  if (directory === '') return name;
  return name === '' ? directory : `${directory}/${name}`;
}

/** Returns an absolute path without `.`, `..` and trailing slash. `..` stops at the root. */
export function resolvePath(base: string, path: string): string {
  // POSIX leaves the meaning of two leading slashes to the system; a Dockerfile has one root.
  return posix.resolve('/', base, path).replace(/^\/+/, '/');
}

/** Returns a path relative to the root, without `.` and `..`. */
export function fromRoot(path: string): string {
  return resolvePath('/', path).slice(1);
}

/** Returns the parent directories of a path, outermost first, without the root. */
export function parentsOf(path: RawPath): readonly RawPath[] {
  const result: RawPath[] = [];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    result.push(path.slice(0, slash));
  }
  return result;
}
