import type { Descriptor } from './descriptor.ts';
import { entryMetadata, type EntryWithContent } from './entry.ts';
import { flatten } from './flatten.ts';
import { readFiles } from './read-files.ts';
import type { Store } from './store.ts';
import { writeTar } from './tar-writer.ts';

/**
 * The files that layers make as one tar archive: directories first, then files in the order of the layers, then other
 * names of them. @throws LktError ARCHIVE_INVALID for a layer that no program could unpack
 */
export async function flatArchive(
  store: Store,
  layers: readonly Descriptor[],
): Promise<AsyncIterable<Uint8Array>> {
  const tree = await flatten(store, layers);
  const entries = async function* (): AsyncGenerator<EntryWithContent> {
    const nodes = [...tree.walk()].filter(({ path }) => path !== '').map(entryMetadata);
    for (const node of nodes) if (node.type === 'directory') yield node;
    for (const node of nodes)
      if (!['directory', 'file', 'hardlink'].includes(node.type)) yield node;
    for await (const file of readFiles(store, layers, tree, () => true)) {
      const { content } = file;
      yield { ...entryMetadata(file), ...(content === undefined ? {} : { content }) };
    }
    for (const node of nodes) if (node.type === 'hardlink') yield node;
  };
  return writeTar(entries());
}
