import { visible } from './html.ts';

/** A directory or file with its size in bytes, and the largest of its entries. */
export type SizeTree = readonly [name: string, size: number, entries?: readonly SizeTree[]];

/** An entry with its place: names of directories, and its own name. */
export interface SizedPath {
  readonly path: readonly string[];
  readonly size: number;
}

/** Names below this depth are one name, which bounds recursion. */
const MAX_DEPTH = 24;
const MAX_NAME_CHARS = 200;
/** The number of named entries; smaller ones are counted together in their directory. */
const MAX_ENTRIES = 3000;

interface Node {
  readonly name: string;
  readonly entries: Map<string, Node>;
  size: number;
}

/** Options of {@link sizeTree}. */
export interface SizeTreeOptions {
  /** The first names are not directories, so they are not joined with their entries. */
  readonly isGrouped?: boolean;
  readonly limit?: number;
}

/**
 * Adds up sizes by directory. Keeps the largest entries, and counts the others of a directory as
 * one, so that the total is right. Directories with a single entry are joined with it.
 */
export function sizeTree(
  name: string,
  paths: Iterable<SizedPath>,
  { isGrouped = false, limit = MAX_ENTRIES }: SizeTreeOptions = {},
): SizeTree {
  const root: Node = { name, entries: new Map(), size: 0 };
  const nodes: Node[] = [];
  for (const { path, size } of paths) {
    if (size <= 0) continue;
    root.size += size;
    let at = root;
    for (const part of bounded(path)) {
      let next = at.entries.get(part);
      if (next === undefined) {
        next = { name: part, entries: new Map(), size: 0 };
        at.entries.set(part, next);
        nodes.push(next);
      }
      next.size += size;
      at = next;
    }
  }
  // A directory comes before its entries, which are not larger, so it is kept with them.
  const kept = new Set(nodes.toSorted((a, b) => b.size - a.size).slice(0, limit));
  return shownTree(root, kept, isGrouped ? 2 : 1);
}

function bounded(path: readonly string[]): readonly string[] {
  return path.length <= MAX_DEPTH
    ? path
    : [...path.slice(0, MAX_DEPTH - 1), path.slice(MAX_DEPTH - 1).join('/')];
}

/** @param whole number of upper levels that are not joined */
function shownTree(
  { name, entries, size }: Node,
  kept: ReadonlySet<Node>,
  whole: number,
): SizeTree {
  const shown = [...entries.values()].filter((entry) => kept.has(entry));
  const [only] = shown;
  if (whole <= 0 && only !== undefined && entries.size === 1 && only.entries.size > 0)
    return shownTree({ ...only, name: `${name}/${only.name}` }, kept, whole);
  const label = visible(name.length > MAX_NAME_CHARS ? `${name.slice(0, MAX_NAME_CHARS)}…` : name);
  if (shown.length === 0) return [label, size];
  const trees = shown
    .toSorted((a, b) => b.size - a.size)
    .map((entry): SizeTree => shownTree(entry, kept, whole - 1));
  const rest = size - shown.reduce((sum, entry) => sum + entry.size, 0);
  if (rest > 0) trees.push([`${entries.size - shown.length} smaller`, rest]);
  return [label, size, trees];
}
