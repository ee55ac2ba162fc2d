import type { IndexEntry } from './index-file.ts';
import type { ObjectDatabase } from './object-database.ts';
import { parseTree, type TreeEntry } from './objects.ts';
import { type Directory, treeId } from './tree-id.ts';

/**
 * Yields the files that differ between a directory of a commit and of the index: paths from the
 * top, one char per byte.
 * @param id of the tree in the commit; undefined if it does not have the directory
 * @throws Error for an unusual tree, or one that is missing
 */
export function* stagedChanges(
  path: string,
  id: string | undefined,
  index: Directory<IndexEntry>,
  objects: ObjectDatabase,
): Generator<string> {
  if (id !== undefined && id === treeId(index, 'sha1')) return;
  const committed = id === undefined ? new Map<string, TreeEntry>() : entriesOf(id, objects);
  for (const name of new Set([...committed.keys(), ...index.keys()])) {
    const inside = path === '' ? name : `${path}/${name}`;
    const entry = committed.get(name);
    const node = index.get(name);
    const tree = entry?.mode === '40000' ? entry.id : undefined;
    const directory = node instanceof Map ? node : undefined;
    if (tree !== undefined || directory !== undefined)
      yield* stagedChanges(inside, tree, directory ?? new Map(), objects);
    const file = tree === undefined ? entry : undefined;
    const added = node instanceof Map ? undefined : node;
    if (file?.id !== added?.id || file?.mode !== added?.mode) yield inside;
  }
}

const MODES: ReadonlySet<string> = new Set(['40000', '100644', '100755', '120000']);

function entriesOf(id: string, objects: ObjectDatabase): ReadonlyMap<string, TreeEntry> {
  const object = objects.read(id);
  if (object?.type !== 'tree') throw new Error(`there is no tree ${id}`);
  const entries = [...parseTree(id, object.content)];
  const unusual = entries.find(({ mode }) => !MODES.has(mode));
  if (unusual !== undefined) throw new Error(`${unusual.name} has the mode ${unusual.mode}`);
  return new Map(entries.map((entry) => [entry.name, entry]));
}
