import type { EntryType, RawPath } from '@lkt/oci';

/** What a COPY reads from: the context, or the file system of a stage or an image. */
export interface SourceTree {
  /** Follows no symlink. '' is the root. */
  node(path: RawPath): SourceNode | undefined;
  /** Names in a directory, in byte order; empty for anything else. */
  names(path: RawPath): readonly string[];
}

export interface SourceNode {
  readonly type: EntryType;
  /** Target of a symlink as it is written. */
  readonly link?: RawPath;
}

/** Follows symlinks in all parts of a path, as if the tree were the root of the file system. */
export function resolveLinks(tree: SourceTree, path: RawPath): RawPath | undefined {
  let pending = path.split('/');
  let resolved: RawPath = '';
  let links = 0;
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
    links += 1;
    if (links > MAX_LINKS) return undefined;
    const link = node.link ?? '';
    if (link.startsWith('/')) resolved = '';
    pending = [...link.split('/'), ...pending];
  }
  return resolved;
}

/** As in Linux: more symlinks than this on one way are a loop. */
const MAX_LINKS = 40;

export function joinPath(directory: RawPath, name: string): RawPath {
  if (directory === '') return name;
  return name === '' ? directory : `${directory}/${name}`;
}

export function baseName(path: RawPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The directories above a path, the outermost first, without the root. */
export function parentsOf(path: RawPath): readonly RawPath[] {
  const result: RawPath[] = [];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    result.push(path.slice(0, slash));
  }
  return result;
}
