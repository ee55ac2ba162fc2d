import { LktError } from '@lkt/core';
import {
  type EntryWithContent,
  fromRaw,
  parentPath,
  type RawPath,
  SOURCE_DATE_EPOCH,
} from '@lkt/oci';
import type { Content } from './spool.ts';

/**
 * A file, directory or symlink from a package or build.yml. Hard links are files with the same
 * content object.
 */
export interface TreeFile {
  readonly path: RawPath;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly mtime: number;
  /** Target of a symlink. */
  readonly link?: RawPath;
  readonly content?: Content;
}

interface Node extends TreeFile {
  /** The package, or build.yml. */
  readonly owner: string;
}

/** Reports whether the winner's files replace the loser's. */
export type Replaces = (winner: string, loser: string) => Promise<boolean>;

/** Mode of directories without a mode of their own. */
export const DIRECTORY_MODE = 0o755;

/** Merges the files of packages and returns them in layer order. */
export class ImageTree {
  readonly #nodes = new Map<RawPath, Node>();

  /**
   * Adds a package's file. Several packages may have a directory; the first one's mode applies.
   * @throws TREE_CONFLICT
   */
  async add(file: TreeFile, owner: string, replaces: Replaces): Promise<void> {
    const present = this.#nodes.get(file.path);
    if (present === undefined) {
      this.#nodes.set(file.path, { ...file, owner });
      return;
    }
    const directories = Number(file.type === 'directory') + Number(present.type === 'directory');
    if (directories === 2) return;
    if (directories === 1) throw conflict(file.path, present.owner, owner);
    if (await replaces(owner, present.owner)) this.#nodes.set(file.path, { ...file, owner });
    else if (!(await replaces(present.owner, owner)))
      throw conflict(file.path, present.owner, owner);
  }

  /**
   * Adds a file that build.yml declares. No package may have the path, except that a directory may
   * get another mode.
   * @throws TREE_CONFLICT
   */
  declare(file: TreeFile, owner: string): void {
    const present = this.#nodes.get(file.path);
    const onlyMode = present?.type === 'directory' && file.type === 'directory';
    if (present !== undefined && !onlyMode) throw conflict(file.path, present.owner, owner);
    this.#nodes.set(file.path, { ...file, owner });
  }

  /**
   * Returns all entries and their missing parents: directories before their contents, names in byte
   * order.
   * @throws TREE_CONFLICT if a parent is not a directory
   */
  *entries(): Generator<EntryWithContent> {
    for (const node of this.#nodes.values()) this.#addParents(node);
    const first = new Map<Content, RawPath>();
    const order = [...this.#nodes.keys()].map((path) => [sortKey(path), path] as const);
    order.sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [, path] of order) {
      const node = this.#nodes.get(path);
      if (node !== undefined) yield toEntry(node, first);
    }
  }

  /** Returns the non-empty files with their owners. */
  *files(): Generator<{ path: RawPath; size: number; owner: string }> {
    for (const { path, type, content, owner } of this.#nodes.values()) {
      const size = content?.size ?? 0;
      if (type === 'file' && size > 0) yield { path, size, owner };
    }
  }

  #addParents(node: Node): void {
    for (let path = parentPath(node.path); path !== ''; path = parentPath(path)) {
      const parent = this.#nodes.get(path);
      if (parent?.type === 'directory') return;
      if (parent !== undefined) throw conflict(path, parent.owner, node.owner, node.path);
      const { owner } = node;
      const mtime = SOURCE_DATE_EPOCH;
      this.#nodes.set(path, { path, type: 'directory', mode: DIRECTORY_MODE, mtime, owner });
    }
  }
}

/** Sorts `a/b` before `a.b`: a slash ends a name and so precedes every byte of a name. */
function sortKey(path: RawPath): string {
  return path.replaceAll('/', '\0');
}

function toEntry(node: Node, first: Map<Content, RawPath>): EntryWithContent {
  const { path, content, type } = node;
  const base = {
    path,
    mode: node.mode,
    uid: 0,
    gid: 0,
    mtime: Math.min(node.mtime, SOURCE_DATE_EPOCH),
    size: 0,
  };
  if (type !== 'file' || content === undefined) return { ...base, type, link: node.link };
  const earlier = first.get(content);
  if (earlier !== undefined) return { ...base, type: 'hardlink', link: earlier };
  first.set(content, path);
  const { size } = content;
  return { ...base, type, size, ...(size > 0 && { content: content.read() }) };
}

function conflict(path: RawPath, first: string, second: string, below?: RawPath): LktError {
  const problem =
    below === undefined
      ? `${first} and ${second} both have ${fromRaw(path)}`
      : `${second} has ${fromRaw(below)}, but ${first} has ${fromRaw(path)}, which is not a directory`;
  return new LktError('TREE_CONFLICT', problem, {
    fix: 'put one of the packages under "without", or the path under "exclude"',
  });
}
