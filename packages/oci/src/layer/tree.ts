import { type Entry, joinPath, parentPath, type RawPath } from '../tar/entry.ts';

/**
 * A file in an image's file system. `layer` is the index of the layer with its content; -1 for an
 * implied directory.
 */
export interface TreeNode extends Entry {
  readonly layer: number;
  /** Index of its entry in the layer. */
  readonly ordinal?: number;
}

/** Maximum number of symbolic links followed for one path, as in the kernel. */
const MAX_LINKS = 40;

/**
 * The file system of an image without contents. Of several names of one file, the first in `walk`
 * order is the file; the others are hard links to it.
 */
export class FileTree {
  readonly #nodes = new Map<RawPath, TreeNode>();
  readonly #children = new Map<RawPath, string[]>();

  /** Nodes need entries for their parent directories; without them, `walk` does not reach them. */
  constructor(nodes: Iterable<TreeNode>) {
    for (const node of nodes) this.#nodes.set(node.path, node);
    for (const path of this.#nodes.keys()) {
      if (path === '') continue;
      const parent = parentPath(path);
      const name = parent === '' ? path : path.slice(parent.length + 1);
      const siblings = this.#children.get(parent);
      if (siblings === undefined) this.#children.set(parent, [name]);
      else siblings.push(name);
    }
    for (const names of this.#children.values()) names.sort(compareBytes);
  }

  /** Number of nodes, including the root. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Returns the node at exactly this path, without following links. */
  get(path: RawPath): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  /**
   * Returns the node that a process in the image would find at `path`. Follows links inside the
   * image. Returns undefined if there is no node, or after 40 links.
   */
  lookup(path: RawPath): TreeNode | undefined {
    let todo = path.split('/').toReversed();
    let at = this.#nodes.get('');
    let links = 0;
    while (todo.length > 0) {
      const part = todo.pop() ?? '';
      if (at?.type !== 'directory') return undefined;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at = this.#nodes.get(parentPath(at.path));
        continue;
      }
      const next = this.#nodes.get(at.path === '' ? part : `${at.path}/${part}`);
      if (next?.type !== 'symlink') {
        at = next;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return undefined;
      const target = next.link ?? '';
      todo = [...todo, ...target.split('/').toReversed()];
      if (target.startsWith('/')) at = this.#nodes.get('');
    }
    return at;
  }

  /** Returns the names in a directory in byte order. */
  children(path: RawPath): readonly string[] {
    return this.#children.get(path) ?? [];
  }

  /** Yields every node: the root first, directories before their contents, names in byte order. */
  *walk(): Generator<TreeNode> {
    const todo: RawPath[] = [''];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      const node = this.#nodes.get(path);
      if (node !== undefined) yield node;
      const names = this.children(path);
      for (let index = names.length - 1; index >= 0; index -= 1)
        todo.push(joinPath(path, names[index] ?? ''));
    }
  }
}

/** Compares paths or names byte by byte: they have one char per byte. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
