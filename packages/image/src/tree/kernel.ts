import { LktError } from '@lkt/core';
import {
  type BlobInfo,
  type Descriptor,
  fromRaw,
  MediaType,
  readFiles,
  type Store,
  toRaw,
  type TreeNode,
} from '@lkt/oci';
import { type CachedFile, type ComposeCache, fileChunks } from '../cache.ts';
import type { KernelSettings } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import { type ImageTree, loadTree } from './image-tree.ts';
import type { Content, Contents, Origin, Part } from './part.ts';
import { inodesOf, place } from './place.ts';
import type { SourceImage, SourceImages } from './source-image.ts';

/** What boots an image, and what the kernel brings into its root. */
export interface Kernel {
  readonly origin: Origin;
  readonly cmdline: string;
  readonly kernel: BootFile;
  readonly ucode?: BootFile;
  /** The modules. */
  readonly part?: Part;
}

export interface BootFile extends CachedFile {
  readonly mode: number;
}

interface KernelContext {
  readonly store: Store;
  readonly cache: ComposeCache;
  readonly images: SourceImages;
}

/**
 * The files that the kernel image holds: `kernel`, `kernel.tar` with what goes into the root, microcode if asked for.
 * @throws LktError NOT_FOUND at the place of the image, for a file that it does not have
 */
export async function loadKernel(
  settings: KernelSettings,
  context: KernelContext,
): Promise<Kernel | undefined> {
  if (settings.image === undefined) return undefined;
  const source = await context.images.find(settings.image);
  const reader = new KernelFiles(settings, source, context);
  const tar = settings.tar ?? 'kernel.tar';
  const ucode = settings.ucode ?? 'none';
  const origin = { source: source.full, location: 'kernel' };
  return {
    origin,
    cmdline: settings.cmdline ?? '',
    kernel: await reader.file(settings.binary ?? 'kernel'),
    ...(isNone(ucode) ? {} : { ucode: await reader.file(ucode) }),
    ...(isNone(tar) ? {} : { part: await reader.unpack(tar, origin) }),
  };
}

class KernelFiles {
  readonly #settings: KernelSettings;
  readonly #source: SourceImage;
  readonly #context: KernelContext;

  constructor(settings: KernelSettings, source: SourceImage, context: KernelContext) {
    this.#settings = settings;
    this.#source = source;
    this.#context = context;
  }

  async file(name: string): Promise<BootFile> {
    const { digest } = this.#source.image.descriptor;
    const { mode } = await this.#node(name);
    const file = await this.#context.cache.file(['file 1', digest, name], () => this.#read(name));
    return { ...file, mode };
  }

  /** The tar archive becomes a blob of the store and is read as a layer: names first, contents on demand. */
  async unpack(name: string, origin: Origin): Promise<Part> {
    const { store, cache } = this.#context;
    const { digest } = this.#source.image.descriptor;
    await this.#node(name);
    const label = `${name} of ${this.#source.label}`;
    const extract = async (): Promise<BlobInfo> => store.write(this.#read(name));
    const note = await cache.file(['blob 1', digest, name], async function* () {
      yield Buffer.from(JSON.stringify(await extract()));
    });
    const blob = await readNote(note);
    const layer: Descriptor = { mediaType: MediaType.layerTar, ...blob };
    if (!(await store.has(layer.digest))) await extract();
    const tree = await loadTree(store, cache, label, layer.digest, [layer]);
    const entries = [...inodesOf(tree.nodes)]
      .filter(({ path }) => path !== '')
      .map(({ path, inode }) => place(path, inode, ''));
    return {
      origin,
      label: `${label} (kernel)`,
      isRoot: true,
      segment: 'kernel',
      entries,
      contents: new Extracted(tree, store, layer, extract),
    };
  }

  async #node(name: string): Promise<TreeNode> {
    const { tree, nodes } = await this.#source.tree();
    const path = toRaw(name.replace(/^\/+/, ''));
    const found = tree.get(path);
    const node = found?.type === 'hardlink' ? tree.get(found.link ?? '') : found;
    if (node?.type === 'file') return node;
    const files = nodes.filter(({ type, path: at }) => type === 'file' && !at.includes('/'));
    const { image } = this.#settings;
    const message = `there is no file "${name}" in the kernel image ${this.#source.label}`;
    const fix = `it has: ${files.map(({ path: at }) => fromRaw(at)).join(', ')}`;
    throw image === undefined
      ? new LktError('NOT_FOUND', message, { fix })
      : errorAt('NOT_FOUND', image.at, message, { fix });
  }

  async *#read(name: string): AsyncGenerator<Uint8Array> {
    const node = await this.#node(name);
    const { tree } = await this.#source.tree();
    const { layers } = this.#source.image.manifest;
    const files = readFiles(this.#context.store, layers, tree, ({ path }) => path === node.path);
    for await (const { content } of files) yield* content ?? [];
  }
}

/** Contents of a blob that may have been collected as garbage since it was listed. */
class Extracted implements Contents {
  readonly key: string;
  readonly #tree: ImageTree;
  readonly #store: Store;
  readonly #layer: Descriptor;
  readonly #extract: () => Promise<BlobInfo>;

  constructor(tree: ImageTree, store: Store, layer: Descriptor, extract: () => Promise<BlobInfo>) {
    this.key = tree.key;
    this.#tree = tree;
    this.#store = store;
    this.#layer = layer;
    this.#extract = extract;
  }

  async *read(wanted: ReadonlySet<string>): AsyncGenerator<Content> {
    if (!(await this.#store.has(this.#layer.digest))) await this.#extract();
    yield* this.#tree.read(wanted);
  }
}

async function readNote(note: CachedFile): Promise<BlobInfo> {
  const parts: Uint8Array[] = [];
  for await (const chunk of fileChunks(note.path)) parts.push(chunk);
  return JSON.parse(Buffer.concat(parts).toString()) as BlobInfo;
}

function isNone(name: string): boolean {
  return name === '' || name === 'none';
}
