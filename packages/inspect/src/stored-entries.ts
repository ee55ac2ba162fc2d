import {
  type EntryWithContent,
  type FileTree,
  flattenArchives,
  type Image,
  layerArchives,
  layersOf,
  readArchives,
  type Store,
} from '@lkt/oci';

/** Yields the files of an image in the store, with all its layers applied. */
export async function* storedEntries(store: Store, image: Image): AsyncGenerator<EntryWithContent> {
  const archives = layerArchives(store, layersOf(image));
  const tree: FileTree = await flattenArchives(archives);
  for (const node of tree.walk())
    if (node.type !== 'hardlink' && (node.type !== 'file' || node.size === 0)) yield node;
  yield* readArchives(archives, tree, ({ size }) => size > 0);
  for (const node of tree.walk()) if (node.type === 'hardlink') yield node;
}
