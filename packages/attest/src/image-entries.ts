import {
  type Descriptor,
  explainLayerError,
  type FileTree,
  flattenEntries,
  readFile,
  type Store,
  type TreeNode,
} from '@lkt/oci';
import type { InspectedEntry } from './inspect-layer.ts';
import { copyrightPath, MAX_DATABASE_BYTES } from './package-databases.ts';

/** The entry of a non-empty file. */
export type FileEntry = InspectedEntry & { readonly hash: string };

/** The file system of an image whose layers were inspected. */
export class ImageEntries {
  readonly tree: FileTree;
  readonly #store: Store;
  readonly #layers: readonly Descriptor[];
  readonly #lists: readonly (readonly InspectedEntry[])[];

  private constructor(
    store: Store,
    layers: readonly Descriptor[],
    lists: readonly (readonly InspectedEntry[])[],
    tree: FileTree,
  ) {
    this.#store = store;
    this.#layers = layers;
    this.#lists = lists;
    this.tree = tree;
  }

  /**
   * @param lists the entries of each layer
   * @throws ARCHIVE_INVALID
   */
  static async flatten(
    store: Store,
    layers: readonly Descriptor[],
    lists: readonly (readonly InspectedEntry[])[],
  ): Promise<ImageEntries> {
    const tree = await flattenEntries(
      layers.map((layer, index) => ({
        entries: lists[index] ?? [],
        explain: async (error) => explainLayerError(store, layer, error),
      })),
    );
    return new ImageEntries(store, layers, lists, tree);
  }

  /** Returns the entry of a non-empty file, also for a hard link to it. */
  fileAt(node: TreeNode): FileEntry | undefined {
    const file = node.type === 'hardlink' ? this.tree.get(node.link ?? '') : node;
    if (file?.type !== 'file' || file.size === 0) return undefined;
    const entry = this.#lists[file.layer]?.[file.ordinal ?? NaN];
    if (!hasHash(entry)) throw new Error(`no layer contains ${file.path}`);
    return entry;
  }

  /**
   * Returns the content of a package database; undefined for one that is empty or too long.
   * @throws NOT_FOUND, DIGEST_MISMATCH
   */
  async databaseAt(node: TreeNode): Promise<string | undefined> {
    const { path } = node;
    const file = this.fileAt(node);
    if (file === undefined || file.size > MAX_DATABASE_BYTES) return undefined;
    // The text of a hard link is kept only if its first path is that of a database too.
    const read = async (): Promise<Buffer> =>
      readFile(this.#store, this.#layers, this.tree, path, MAX_DATABASE_BYTES);
    return file.text ?? (await read()).toString('utf8');
  }

  /** Returns the copyright file of a Debian package, with its text and its path in the image. */
  copyrightOf(name: string): FileEntry | undefined {
    // Follows links: packages of one source share a directory.
    const node = this.tree.lookup(copyrightPath(name));
    const file = node === undefined ? undefined : this.fileAt(node);
    if (node === undefined || file?.text === undefined) return undefined;
    return { ...file, path: node.path };
  }
}

function hasHash(entry: InspectedEntry | undefined): entry is FileEntry {
  return entry?.hash !== undefined;
}
