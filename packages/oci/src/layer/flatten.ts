import { LktError } from '@lkt/core';
import {
  baseName,
  type Entry,
  entryMetadata,
  fromRaw,
  joinPath,
  parentPath,
  type RawPath,
} from '../tar/entry.ts';
import { SOURCE_DATE_EPOCH } from '../image/epoch.ts';
import { verifyDiffId } from './diff-id.ts';
import type { Layer } from './layer.ts';
import { type LayerArchive, layerArchives } from './layer-archives.ts';
import type { Store } from '../store/store.ts';
import { readTar } from '../tar/tar-reader.ts';
import { compareBytes, FileTree, type TreeNode } from './tree.ts';

/** Limits on the image that `flatten` accepts. */
export interface FlattenLimits {
  /** Entries of all layers plus implied directories; default 1,000,000. */
  readonly maxEntries?: number;
  /** Bytes of paths, link targets, attributes and PAX records of all layers; default 256 MiB. */
  readonly maxMetadata?: number;
  /** Bytes of an unpacked layer; default as `maxUnpackedBytes`. */
  readonly maxLayerBytes?: number;
}

/** image-spec, layer.md, "Whiteouts" and "Opaque Whiteout". */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Returns the file system that layers form, lowest first. Reads each layer once and writes nothing.
 *
 * An entry below a symbolic link of a lower layer replaces the link with a directory, as overlayfs
 * does. Directories without an entry in any layer belong to root and have mode 0755.
 * @throws ARCHIVE_INVALID for a layer that cannot be unpacked, or a limit exceeded; IMAGE_INVALID
 * for a layer that unpacks to another digest than its diff id
 * @example
 * ```ts
 * const tree = await flatten(store, layersOf(await loadImage(store, digest, platform)));
 * tree.lookup('etc/os-release')?.size;
 * ```
 */
export async function flatten(
  store: Store,
  layers: readonly Layer[],
  limits: FlattenLimits = {},
): Promise<FileTree> {
  return flattenArchives(layerArchives(store, layers), limits);
}

/** Returns the file system of opened layers; otherwise as `flatten`. */
export async function flattenArchives(
  archives: readonly LayerArchive[],
  limits: FlattenLimits = {},
): Promise<FileTree> {
  const steps = streamFlatten(archives, limits);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

/** The entries of one layer in archive order. */
export interface LayerEntries {
  readonly entries: readonly Entry[];
  /** Returns the error to report in place of one that occurs while the layer is applied. */
  readonly explain?: (error: unknown) => Promise<unknown>;
}

/** Returns the file system of layers whose entries are already known; otherwise as `flatten`. */
export async function flattenEntries(
  layers: readonly LayerEntries[],
  limits: FlattenLimits = {},
): Promise<FileTree> {
  const builder = new TreeBuilder(limits);
  for (const [layer, list] of layers.entries()) {
    const { entries } = list;
    try {
      for (const entry of entries) builder.count(entry);
      builder.apply(entries.map((entry, ordinal) => layerEntry(entry, layer, ordinal)));
    } catch (error) {
      throw await explain(list, error);
    }
  }
  return builder.tree();
}

/**
 * A file of a layer during the read. `layer` and `ordinal` match those of its tree node, if no
 * later layer hides it.
 */
export interface LayerFile {
  readonly size: number;
  readonly content: AsyncIterable<Uint8Array>;
  readonly layer: number;
  readonly ordinal: number;
}

/**
 * Flattens layers and yields the content of every file that is not empty, layer by layer, including
 * files that a later layer hides. Returns the tree at the end. A content is readable until the next
 * file is requested.
 */
export async function* streamFlatten(
  archives: readonly LayerArchive[],
  limits: FlattenLimits = {},
): AsyncGenerator<LayerFile, FileTree> {
  const builder = new TreeBuilder(limits);
  for (const [layer, archive] of archives.entries()) {
    const maxBytes = limits.maxLayerBytes ?? maxUnpackedBytes(archive);
    const entries: LayerEntry[] = [];
    let ordinal = 0;
    try {
      await using opened = archive.open(maxBytes);
      const data =
        archive.layer === undefined ? opened.data : verifyDiffId(opened.data, archive.layer);
      for await (const entry of readTar(data, { maxBytes })) {
        builder.count(entry);
        entries.push(layerEntry(entry, layer, ordinal));
        const { size, content } = entry;
        if (content !== undefined)
          yield { size, content: explained(archive, content), layer, ordinal };
        ordinal += 1;
      }
      builder.apply(entries);
    } catch (error) {
      throw await explain(archive, error);
    }
  }
  return builder.tree();
}

/**
 * Returns the bytes to which a layer may unpack: 100 times its size, but at least 4 GiB and at most
 * 64 GiB. Gzip can expand data 1,030 times, and zstd more, but hardly ten times unless it is zeros.
 */
function maxUnpackedBytes({ layer }: Pick<LayerArchive, 'layer'>): number {
  const size = layer?.descriptor.size ?? Infinity;
  return Math.min(Math.max(100 * size, 4 * 2 ** 30), 64 * 2 ** 30);
}

async function* explained(
  archive: LayerArchive,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    throw await explain(archive, error);
  }
}

async function explain(layer: Pick<LayerArchive, 'explain'>, error: unknown): Promise<unknown> {
  return layer.explain === undefined ? error : layer.explain(error);
}

interface LayerEntry extends TreeNode {
  readonly ordinal: number;
}

/** A file with the path and metadata of its entry. Its hard links share it under other paths. */
type Inode = TreeNode;

class TreeBuilder {
  readonly #inodes = new Map<RawPath, Inode>();
  readonly #children = new Map<RawPath, Set<string>>();
  readonly #maxEntries: number;
  readonly #maxMetadata: number;
  #entries = 0;
  #metadata = 0;

  constructor({ maxEntries = 1_000_000, maxMetadata = 256 * 2 ** 20 }: FlattenLimits) {
    this.#maxEntries = maxEntries;
    this.#maxMetadata = maxMetadata;
    this.#inodes.set('', IMPLIED);
  }

  /** Counts the memory an entry will hold against the limits. */
  count(entry: Pick<Entry, 'path' | 'link' | 'xattrs' | 'pax'>): void {
    this.#entries += 1;
    this.#metadata += entry.path.length + (entry.link?.length ?? 0);
    for (const [key, value] of entry.xattrs ?? []) this.#metadata += key.length + value.length;
    for (const [key, value] of entry.pax ?? []) this.#metadata += key.length + value.length;
    if (this.#entries > this.#maxEntries)
      throw new LktError('ARCHIVE_INVALID', `the image has more than ${this.#maxEntries} entries`);
    if (this.#metadata > this.#maxMetadata) {
      throw new LktError(
        'ARCHIVE_INVALID',
        `the file metadata of the image exceeds ${this.#maxMetadata} bytes`,
      );
    }
  }

  /**
   * Applies a layer. Its whiteouts affect only lower layers, regardless of their position in the
   * archive.
   */
  apply(entries: readonly LayerEntry[]): void {
    const special = new Set(entries.filter(({ path }) => path.includes(WHITEOUT)));
    for (const entry of special) this.#whiteout(entry);
    for (const entry of entries)
      if (!special.has(entry) || !(isWhiteout(entry) || isAufs(entry))) this.#add(entry);
  }

  tree(): FileTree {
    const first = new Map<Inode, RawPath>();
    const nodes: TreeNode[] = [];
    const todo: RawPath[] = [''];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      const inode = this.#inodes.get(path);
      if (inode === undefined) continue;
      const other = inode.type === 'file' ? first.get(inode) : undefined;
      if (other === undefined) {
        if (inode.type === 'file') first.set(inode, path);
        nodes.push(inode.path === path ? inode : { ...inode, path });
      } else {
        nodes.push({ ...inode, path, type: 'hardlink', size: 0, link: other });
      }
      const names = this.#children.get(path);
      if (names === undefined) continue;
      for (const name of [...names].toSorted(compareBytes).toReversed())
        todo.push(joinPath(path, name));
    }
    return new FileTree(nodes);
  }

  #whiteout(entry: LayerEntry): void {
    if (!isWhiteout(entry) || isAufs(entry)) return;
    const directory = parentPath(entry.path);
    const name = baseName(entry.path);
    if (name === OPAQUE) {
      for (const child of this.#children.get(directory) ?? [])
        this.#remove(joinPath(directory, child));
      return;
    }
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new LktError(
        'ARCHIVE_INVALID',
        `invalid whiteout ${JSON.stringify(fromRaw(entry.path))}`,
      );
    this.#remove(joinPath(directory, hidden));
  }

  #add(entry: LayerEntry): void {
    const { path } = entry;
    if (path !== '') this.#makeParents(path, entry);
    if (entry.type === 'hardlink') {
      const target = this.#inodes.get(entry.link ?? '');
      if (target === undefined || target.type === 'directory' || entry.link === path) {
        throw new LktError(
          'ARCHIVE_INVALID',
          `hard link ${JSON.stringify(fromRaw(path))} refers to ${JSON.stringify(fromRaw(entry.link ?? ''))}, which is not a file of the image`,
        );
      }
      this.#remove(path);
      this.#set(path, target);
      return;
    }
    const present = this.#inodes.get(path);
    if (path === '' && entry.type !== 'directory') throw new Error('the root is not a directory');
    if (present?.type !== 'directory' || entry.type !== 'directory') this.#remove(path);
    this.#set(path, entry);
  }

  #makeParents(path: RawPath, entry: LayerEntry): void {
    const missing: RawPath[] = [];
    for (let parent = parentPath(path); parent !== ''; parent = parentPath(parent)) {
      const inode = this.#inodes.get(parent);
      if (inode?.type === 'directory') break;
      // Unpacking in order would follow the link of the same layer to its target.
      if (inode?.layer === entry.layer) {
        throw new LktError(
          'ARCHIVE_INVALID',
          `${JSON.stringify(fromRaw(path))} is below ${JSON.stringify(fromRaw(parent))}, a ${inode.type} of the same layer`,
        );
      }
      missing.push(parent);
    }
    for (const parent of missing.toReversed()) {
      this.count({ path: parent });
      this.#remove(parent);
      this.#set(parent, IMPLIED);
    }
  }

  #set(path: RawPath, inode: Inode): void {
    this.#inodes.set(path, inode);
    if (path === '') return;
    const parent = parentPath(path);
    const siblings = this.#children.get(parent);
    if (siblings === undefined) this.#children.set(parent, new Set([baseName(path)]));
    else siblings.add(baseName(path));
  }

  /** Removes a path and everything below it. */
  #remove(path: RawPath): void {
    if (!this.#inodes.has(path)) return;
    const todo = [path];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      for (const name of this.#children.get(at) ?? []) todo.push(joinPath(at, name));
      this.#children.delete(at);
      this.#inodes.delete(at);
    }
    this.#children.get(parentPath(path))?.delete(baseName(path));
  }
}

const IMPLIED: Inode = {
  path: '',
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: SOURCE_DATE_EPOCH,
  size: 0,
  layer: -1,
};

/** Returns an entry as `entryMetadata` does, in one object: an image has many. */
function layerEntry(entry: Entry, layer: number, ordinal: number): LayerEntry {
  return Object.assign(entryMetadata(entry), { layer, ordinal });
}

function isWhiteout({ path }: LayerEntry): boolean {
  return baseName(path).startsWith(WHITEOUT);
}

/** Reports whether this is metadata of Docker's aufs driver, which old images contain. */
function isAufs({ path }: LayerEntry): boolean {
  return path.split('/').some((part) => part.startsWith('.wh..wh.') && part !== OPAQUE);
}
