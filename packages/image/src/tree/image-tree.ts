import { canonicalJson, type Digest, LktError } from '@lkt/core';
import {
  type Archive,
  type EntryType,
  FileTree,
  flattenArchives,
  type RawPath,
  readArchives,
  type TreeNode,
} from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { Content, Contents } from './part.ts';

/** Bump when flattening or the form of the listing changes. */
const LISTING_VERSION = 'tree 1';

/** The file system of an image: names at once, contents when they are asked for. */
export class ImageTree implements Contents {
  readonly key: string;
  readonly nodes: readonly TreeNode[];
  readonly #layers: readonly Archive[];
  #tree: FileTree | undefined;

  constructor(key: string, layers: readonly Archive[], nodes: readonly TreeNode[]) {
    this.key = key;
    this.nodes = nodes;
    this.#layers = layers;
  }

  get tree(): FileTree {
    this.#tree ??= new FileTree(this.nodes);
    return this.#tree;
  }

  /** By path in the image, in the order of the layers, each of which is unpacked once. */
  async *read(wanted: ReadonlySet<string>): AsyncGenerator<Content> {
    const files = readArchives(this.#layers, this.tree, (node) => wanted.has(node.path));
    for await (const { path, content } of files) yield { name: path, data: content ?? nothing() };
  }
}

/**
 * The tree of these layers. Flattening unpacks every layer, so what it found is kept.
 * @param name names the image in errors
 * @param key says all that the layers depend on
 */
export async function loadTree(
  cache: ComposeCache,
  name: string,
  key: string,
  layers: readonly Archive[],
): Promise<ImageTree> {
  const listing = await cache.file([LISTING_VERSION, key], async function* () {
    yield Buffer.from(serialize((await flattened(name, layers)).walk()));
  });
  return new ImageTree(key, layers, deserialize(await cache.text(listing)));
}

/** Whether the tree of the image with this digest is known, so that its layers need not be unpacked for that. */
export async function isListed(cache: ComposeCache, digest: Digest): Promise<boolean> {
  return (await cache.find([LISTING_VERSION, digest])) !== undefined;
}

async function flattened(name: string, layers: readonly Archive[]): Promise<FileTree> {
  try {
    return await flattenArchives(layers);
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw new LktError(error.code, `${name}: ${error.message}`, {
      cause: error,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
    });
  }
}

type Row = readonly [
  path: RawPath,
  type: EntryType,
  mode: number,
  uid: number,
  gid: number,
  mtime: number,
  size: number,
  layer: number,
  ordinal: number,
  link: RawPath,
  devMajor: number,
  devMinor: number,
  xattrs: Readonly<Record<string, string>> | 0,
];

function serialize(nodes: Iterable<TreeNode>): string {
  const rows: string[] = [];
  for (const node of nodes) {
    const { path, type, mode, uid, gid, mtime, size, layer, ordinal = -1, link = '' } = node;
    const { devMajor = 0, devMinor = 0, xattrs } = node;
    const attributes: Row[12] =
      xattrs === undefined
        ? 0
        : Object.fromEntries(
            [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
          );
    const row: Row = [
      path,
      type,
      mode,
      uid,
      gid,
      mtime,
      size,
      layer,
      ordinal,
      link,
      devMajor,
      devMinor,
      attributes,
    ];
    rows.push(canonicalJson(row));
  }
  return `[${rows.join(',\n')}]`;
}

function deserialize(text: string): readonly TreeNode[] {
  return (JSON.parse(text) as readonly Row[]).map((row) => {
    const [path, type, mode, uid, gid, mtime, size, layer, ordinal, link] = row;
    const [, , , , , , , , , , devMajor, devMinor, xattrs] = row;
    return {
      path,
      type,
      mode,
      uid,
      gid,
      mtime,
      size,
      layer,
      ...(ordinal === -1 ? {} : { ordinal }),
      ...(link === '' ? {} : { link }),
      ...(type === 'char' || type === 'block' ? { devMajor, devMinor } : {}),
      ...(xattrs === 0
        ? {}
        : {
            xattrs: new Map(
              Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
            ),
          }),
    };
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
