import { type Image, layersOf } from '../image/image.ts';
import { entryMetadata, type EntryWithContent } from '../tar/entry.ts';
import { flatten } from '../layer/flatten.ts';
import { readFiles } from '../layer/read-files.ts';
import type { Store } from '../store/store.ts';
import { writeTar } from '../tar/tar-writer.ts';

/**
 * Returns the merged file system of layers as one tar archive: directories, then special files,
 * then files in layer order, then hard links.
 * @throws ARCHIVE_INVALID for a layer that cannot be unpacked
 */
export async function flatArchive(store: Store, image: Image): Promise<AsyncIterable<Uint8Array>> {
  const tree = await flatten(store, layersOf(image));
  const entries = async function* (): AsyncGenerator<EntryWithContent> {
    const nodes = [...tree.walk()].filter(({ path }) => path !== '').map(entryMetadata);
    for (const node of nodes) if (node.type === 'directory') yield node;
    for (const node of nodes)
      if (!['directory', 'file', 'hardlink'].includes(node.type)) yield node;
    for await (const file of readFiles(store, image.manifest.layers, tree, () => true)) {
      const { content } = file;
      yield { ...entryMetadata(file), ...(content === undefined ? {} : { content }) };
    }
    for (const node of nodes) if (node.type === 'hardlink') yield node;
  };
  return writeTar(entries());
}
