import { canonicalJson, type Digest, digestHex, withPrefix } from '@lkt/core';
import {
  FileTree,
  flattenArchives,
  type LayerArchive,
  type RawPath,
  readArchives,
  singleChunk,
  type TreeNode,
} from '@lkt/oci';
import { type EntryRow, entryRow } from './entry-row.ts';
import type { CachedFile, ComposeCache } from '../cache.ts';
import {
  FilePacker,
  PACKED_VERSION,
  type PackedContent,
  type PackedFile,
  type Packing,
} from './packed-files.ts';
import type { Content, Contents } from './part.ts';

/** Bump when flattening or the format of listings changes. */
const LISTING_VERSION = 'tree 3';

/** Contents packed while the layers were unpacked. */
interface PackedContents {
  readonly cache: ComposeCache;
  readonly file: CachedFile;
  readonly files: ReadonlyMap<RawPath, PackedFile>;
}

/** The file system of an image: names in memory, contents on demand. */
export class ImageTree implements Contents {
  readonly key: string;
  readonly nodes: readonly TreeNode[];
  readonly #layers: readonly LayerArchive[];
  readonly #packed: PackedContents | undefined;
  #tree: FileTree | undefined;

  constructor(
    key: string,
    layers: readonly LayerArchive[],
    nodes: readonly TreeNode[],
    packed?: PackedContents,
  ) {
    this.key = key;
    this.nodes = nodes;
    this.#layers = layers;
    this.#packed = packed;
  }

  get tree(): FileTree {
    this.#tree ??= new FileTree(this.nodes);
    return this.#tree;
  }

  /** Yields contents by path in layer order. Unpacks each layer at most once. */
  async *read(wanted: ReadonlySet<string>): AsyncGenerator<Content> {
    const uncompressed = this.#uncompressed(wanted);
    if (this.#packed !== undefined && uncompressed !== undefined) {
      const { cache, file } = this.#packed;
      for await (const { part, data } of cache.readParts(file, uncompressed))
        yield { name: part.path, data: singleChunk(data) };
      return;
    }
    const files = readArchives(this.#layers, this.tree, (node) => wanted.has(node.path));
    for await (const { path, content } of files)
      yield { name: path, data: content ?? singleChunk(Buffer.of()) };
  }

  packed(name: string): PackedContent | undefined {
    const found = this.#packed?.files.get(name);
    if (this.#packed === undefined || found === undefined || found.windowLog === 0)
      return undefined;
    const { windowLog, ...range } = found;
    return { range: { path: this.#packed.file.path, ...range }, windowLog };
  }

  /** Returns the cached ranges of uncompressed contents, if all wanted are. */
  #uncompressed(
    wanted: ReadonlySet<string>,
  ): readonly (PackedFile & { readonly path: RawPath })[] | undefined {
    const found: (PackedFile & { readonly path: RawPath })[] = [];
    for (const path of wanted) {
      const file = this.#packed?.files.get(path);
      if (file === undefined || file.windowLog !== 0) return undefined;
      found.push({ ...file, path });
    }
    return found;
  }
}

/** The layers of an image tree. */
export interface TreeSource {
  /** Image name, for errors. */
  readonly name: string;
  /** Identifies the layers. */
  readonly key: string;
  readonly layers: readonly LayerArchive[];
}

/**
 * Loads the tree of layers. Flattening unpacks every layer, so the listing is cached, and with
 * `packing` the packed contents too.
 */
export async function loadTree(
  cache: ComposeCache,
  source: TreeSource,
  packing?: Packing,
): Promise<ImageTree> {
  const { key, layers } = source;
  const listingKey = listingOf(key, packing);
  if (packing === undefined) {
    const listing = await cache.text(listingKey, async () =>
      serialize((await withName(source, flattenArchives(layers))).walk()),
    );
    return new ImageTree(key, layers, deserialize(listing).nodes);
  }
  const packer = new FilePacker(layers, packing);
  const file = await withName(
    source,
    cache.file([PACKED_VERSION, key, packing.key], () => packer.bytes()),
  );
  const listing = await cache.text(listingKey, async () => {
    // The cache has the packed files without their listing.
    if (packer.tree === undefined) for await (const piece of packer.bytes()) void piece;
    return serialize(packer.tree?.walk() ?? [], packer);
  });
  const { nodes, files } = deserialize(listing);
  return new ImageTree(key, layers, nodes, { cache, file, files });
}

/** Reports whether the cache has all data of `loadTree`. */
export async function isLoaded(
  cache: ComposeCache,
  digest: Digest,
  packing?: Packing,
): Promise<boolean> {
  const keys = [listingOf(digest, packing)];
  if (packing !== undefined) keys.push([PACKED_VERSION, digest, packing.key]);
  for (const key of keys) if ((await cache.find(key)) === undefined) return false;
  return true;
}

function listingOf(key: string, packing: Packing | undefined): string[] {
  return packing === undefined
    ? [LISTING_VERSION, key]
    : [LISTING_VERSION, key, PACKED_VERSION, packing.key];
}

async function withName<T>({ name }: TreeSource, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw withPrefix(error, `${name}: `);
  }
}

type Row = readonly [
  ...EntryRow,
  layer: number,
  ordinal: number,
  link: RawPath,
  devMajor: number,
  devMinor: number,
  xattrs: Readonly<Record<string, string>> | 0,
  packed?: readonly [
    ...[offset: number, size: number, crc: number, windowLog: number],
    digest: string,
  ],
];

function serialize(nodes: Iterable<TreeNode>, packer?: FilePacker): string {
  const rows: string[] = [];
  for (const node of nodes) {
    const { type, layer, ordinal = -1, link = '', devMajor = 0, devMinor = 0, xattrs } = node;
    const attributes: Row[12] =
      xattrs === undefined
        ? 0
        : Object.fromEntries(
            [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
          );
    const row: Row = [...entryRow(node), layer, ordinal, link, devMajor, devMinor, attributes];
    const packed = type === 'file' ? packer?.find(layer, ordinal) : undefined;
    if (packed === undefined) {
      rows.push(canonicalJson(row));
    } else {
      const { offset, size: packedSize, crc, windowLog, digest } = packed;
      const range = [offset, packedSize, crc, windowLog, digestHex(digest)];
      rows.push(canonicalJson([...row, range]));
    }
  }
  return `[${rows.join(',\n')}]`;
}

function deserialize(text: string): {
  readonly nodes: readonly TreeNode[];
  readonly files: ReadonlyMap<RawPath, PackedFile>;
} {
  const files = new Map<RawPath, PackedFile>();
  const nodes = (JSON.parse(text) as readonly Row[]).map((row) => {
    const [path, type, mode, uid, gid, mtime, size, layer, ordinal, link] = row;
    const [, , , , , , , , , , devMajor, devMinor, xattrs, packed] = row;
    if (packed !== undefined) {
      const [offset, packedSize, crc, windowLog, hash] = packed;
      const digest = `sha256:${hash}` as Digest;
      files.set(path, { offset, size: packedSize, crc, windowLog, digest });
    }
    return {
      path,
      type,
      mode,
      uid,
      gid,
      mtime,
      size,
      layer,
      ordinal: ordinal === -1 ? undefined : ordinal,
      link: link === '' ? undefined : link,
      ...(type === 'char' || type === 'block' ? { devMajor, devMinor } : {}),
      xattrs:
        xattrs === 0
          ? undefined
          : new Map(
              Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
            ),
    };
  });
  return { nodes, files };
}
