import { type Entry, parentPath, type RawPath } from './entry.ts';

/** A thing in an image's file system. `layer` is the index of the layer that has its content; -1 when no layer has. */
export interface TreeNode extends Entry {
  readonly layer: number;
  /** Which entry of the layer it is, counted from 0. */
  readonly ordinal?: number;
}

/** Symbolic links that are followed for one path; the kernel's own number. */
const MAX_LINKS = 40;

/**
 * The file system of an image, without contents. Of the names of one file, the first in the order of `walk` is the
 * file, the others are hard links to it.
 */
export class FileTree {
  readonly #nodes: ReadonlyMap<RawPath, TreeNode>;
  readonly #children = new Map<RawPath, string[]>();

  /** A directory without a node of its own is not found. */
  constructor(nodes: Iterable<TreeNode>) {
    this.#nodes = new Map([...nodes].map((node) => [node.path, node]));
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

  /** Number of nodes, the root among them. */
  get size(): number {
    return this.#nodes.size;
  }

  /** The node at exactly this path; links are not followed. */
  get(path: RawPath): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  /**
   * The node a process in the image would find at `path`: links on the way are followed inside the image, and the last
   * part too unless `follow` is false. Undefined when there is none, or links go round in circles.
   */
  lookup(path: RawPath, { follow = true }: { follow?: boolean } = {}): TreeNode | undefined {
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
      const isLast = todo.every((rest) => rest === '' || rest === '.');
      if (next?.type !== 'symlink' || (isLast && !follow)) {
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

  /** Names in a directory, in byte order. */
  children(path: RawPath): readonly string[] {
    return this.#children.get(path) ?? [];
  }

  /** Every node, the root first: directories before what is in them, names in byte order. */
  *walk(): Generator<TreeNode> {
    const todo: RawPath[] = [''];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      const node = this.#nodes.get(path);
      if (node !== undefined) yield node;
      for (const name of this.children(path).toReversed())
        todo.push(path === '' ? name : `${path}/${name}`);
    }
  }
}

/** Paths and names are one char per byte. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
