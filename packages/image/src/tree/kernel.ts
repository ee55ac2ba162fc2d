import { LktError } from '@lkt/core';
import {
  type LayerArchive,
  fromRaw,
  openArchive,
  readArchives,
  toRaw,
  type TreeNode,
} from '@lkt/oci';
import type { CachedFile, ComposeCache } from '../cache.ts';
import type { KernelSettings } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import { type ImageTree, loadTree } from './image-tree.ts';
import { findKernelConfig, type KernelConfig } from './kernel-config.ts';
import type { Packing } from './packed-files.ts';
import type { Origin, Part } from './part.ts';
import { graftNode, inodesOf } from './graft.ts';
import type { SourceImage, SourceImages } from './source-image.ts';

/** The boot files of an image, and the kernel's files in its root. */
export interface Kernel {
  readonly origin: Origin;
  readonly cmdline: string;
  readonly kernel: BootFile;
  readonly ucode?: BootFile;
  readonly part?: Part;
  /** From the build configuration in the kernel's image. */
  readonly config?: KernelConfig;
}

export interface BootFile extends CachedFile {
  readonly mode: number;
}

const BINARY = 'kernel';
const TAR = 'kernel.tar';

interface KernelContext {
  readonly cache: ComposeCache;
  /** For the modules. */
  readonly packing?: Packing;
}

/**
 * Loads the kernel image: `kernel`, `kernel.tar` with the files for the root, and microcode if
 * requested.
 * @throws LktError NOT_FOUND at the position of the image, for a missing file
 */
export async function loadKernel(
  settings: KernelSettings,
  context: KernelContext & { readonly images: SourceImages },
): Promise<Kernel | undefined> {
  if (settings.image === undefined) return undefined;
  const source = await context.images.find(settings.image);
  const reader = new KernelFiles(settings, source, context);
  const tar = settings.tar ?? TAR;
  const ucode = settings.ucode ?? 'none';
  const origin = { source: source.full, location: 'kernel' };
  const kernel = await reader.file(settings.binary ?? BINARY);
  const modules = isNone(tar) ? undefined : await reader.modules(tar);
  const trees = [await source.bareTree(), ...(modules === undefined ? [] : [modules])];
  const config = await findKernelConfig(trees, context.cache);
  return {
    origin,
    cmdline: settings.cmdline ?? '',
    config,
    kernel,
    ucode: isNone(ucode) ? undefined : await reader.file(ucode),
    part: modules === undefined ? undefined : reader.part(tar, modules, origin),
  };
}

/** Reports whether an image has the default file of a kernel image. */
export function isKernel({ tree }: ImageTree): boolean {
  return tree.get(BINARY)?.type === 'file';
}

/** Fills the cache as `loadKernel` does for default settings. */
export async function prepareKernel(source: SourceImage, context: KernelContext): Promise<void> {
  const reader = new KernelFiles({}, source, context);
  await reader.file(BINARY);
  const bareTree = await source.bareTree();
  const modules = bareTree.tree.get(TAR) === undefined ? [] : [await reader.modules(TAR)];
  await findKernelConfig([bareTree, ...modules], context.cache);
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
    const { digest } = this.#source;
    const { mode } = await this.#node(name);
    const file = await this.#context.cache.file(['file 1', digest, name], () => this.#read(name));
    return { ...file, mode };
  }

  /** Returns the tree of a tar archive, read like a layer: names first, contents on demand. */
  async modules(name: string): Promise<ImageTree> {
    const { digest } = this.#source;
    await this.#node(name);
    const source = {
      name: this.#label(name),
      key: `${name} of ${digest}`,
      layers: [this.#archive(name)],
    };
    return loadTree(this.#context.cache, source, this.#context.packing);
  }

  part(name: string, tree: ImageTree, origin: Origin): Part {
    const entries = [...inodesOf(tree.nodes)]
      .filter(({ path }) => path !== '')
      .map(({ path, inode }) => graftNode(path, inode, ''));
    return {
      origin,
      label: `${this.#label(name)} (kernel)`,
      isRoot: true,
      segment: 'kernel',
      entries,
      contents: tree,
    };
  }

  #label(name: string): string {
    return `${name} of ${this.#source.label}`;
  }

  #archive(name: string): LayerArchive {
    return { open: () => openArchive(this.#read(name)) };
  }

  async #node(name: string): Promise<TreeNode> {
    const { tree, nodes } = await this.#source.bareTree();
    const path = toRaw(name.replace(/^\/+/, ''));
    const found = tree.get(path);
    const node = found?.type === 'hardlink' ? tree.get(found.link ?? '') : found;
    if (node?.type === 'file') return node;
    const files = nodes.filter(({ type, path: at }) => type === 'file' && !at.includes('/'));
    const { image } = this.#settings;
    const message = `there is no file "${name}" in the kernel image ${this.#source.label}`;
    const fix =
      files.length === 0
        ? 'name an image with a kernel: it has no files at the top'
        : `it has: ${files.map(({ path: at }) => fromRaw(at)).join(', ')}`;
    throw image === undefined
      ? new LktError('NOT_FOUND', message, { fix })
      : errorAt('NOT_FOUND', image.at, message, { fix });
  }

  async *#read(name: string): AsyncGenerator<Uint8Array> {
    const node = await this.#node(name);
    const { tree } = await this.#source.bareTree();
    const files = readArchives(this.#source.archives(), tree, ({ path }) => path === node.path);
    for await (const { content } of files) yield* content ?? [];
  }
}

function isNone(name: string): boolean {
  return name === '' || name === 'none';
}
