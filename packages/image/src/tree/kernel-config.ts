import { fromRaw, type TreeNode } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { ImageTree } from './image-tree.ts';

/** Where kernels keep the config they were built with: beside the kernel, or among the modules. */
const PLACES =
  /^(?:\.?config|kernel[-_.]config|(?:boot\/)?config-[^/]+|(?:usr\/)?lib\/modules\/[^/]+\/config)$/;
const MAX_SIZE = 4 * 2 ** 20;

/** The config of a kernel, as far as it is about unpacking an initrd. */
export interface KernelConfig {
  /** The path of the file in the image. */
  readonly path: string;
  /** `GZIP`, `ZSTD` and the like, of the options `CONFIG_RD_…` that are on. */
  readonly unpacks: ReadonlySet<string>;
}

/** What the config says that one of the trees of a kernel has; undefined when none has one. */
export async function findKernelConfig(
  trees: readonly ImageTree[],
  cache: ComposeCache,
): Promise<KernelConfig | undefined> {
  for (const tree of trees) {
    const node = tree.nodes.find(isConfig);
    if (node === undefined) continue;
    const note = await cache.file(['kernel config 1', tree.key, node.path], async function* () {
      yield Buffer.from(optionsIn(await textOf(tree, node)).join('\n'));
    });
    return { path: fromRaw(node.path), unpacks: new Set((await cache.text(note)).split('\n')) };
  }
  return undefined;
}

function isConfig({ type, path, size }: TreeNode): boolean {
  return type === 'file' && size > 0 && size <= MAX_SIZE && PLACES.test(path);
}

async function textOf(tree: ImageTree, { path }: TreeNode): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const { data } of tree.read(new Set([path])))
    for await (const part of data) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts).toString('latin1');
}

function optionsIn(text: string): readonly string[] {
  return [...text.matchAll(/^CONFIG_RD_([A-Z0-9]+)=y$/gm)].map(([, name = '']) => name);
}
