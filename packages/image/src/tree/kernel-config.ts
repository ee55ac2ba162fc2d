import { fromRaw, type TreeNode } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { ImageTree } from './image-tree.ts';
import { contentText } from './part.ts';

/** Paths of a kernel's build configuration: beside the kernel or among its modules. */
const CONFIG_PATHS =
  /^(?:\.?config|kernel[-_.]config|(?:boot\/)?config-[^/]+|(?:usr\/)?lib\/modules\/[^/]+\/config)$/;
const MAX_SIZE = 4 * 2 ** 20;

/** Options of a kernel that matter for initrds. */
export interface KernelConfig {
  /** Path in the image. */
  readonly path: string;
  /** Enabled `CONFIG_RD_…` and `CONFIG_EROFS_…` options, without `CONFIG_`. */
  readonly options: ReadonlySet<string>;
  /** The options that are modules. */
  readonly modules: ReadonlySet<string>;
}

/** Returns the options from the first tree that has a configuration; undefined without any. */
export async function findKernelConfig(
  trees: readonly ImageTree[],
  cache: ComposeCache,
): Promise<KernelConfig | undefined> {
  for (const tree of trees) {
    const node = tree.nodes.find(isConfig);
    if (node === undefined) continue;
    const options = await cache.text(['kernel config 2', tree.key, node.path], async () =>
      optionsIn(await contentText(tree, node.path)).join('\n'),
    );
    const lines = options.split('\n').map((line) => line.split('='));
    return {
      path: fromRaw(node.path),
      options: new Set(lines.map(([name = '']) => name)),
      modules: new Set(lines.flatMap(([name = '', value]) => (value === 'm' ? [name] : []))),
    };
  }
  return undefined;
}

function isConfig({ type, path, size }: TreeNode): boolean {
  return type === 'file' && size > 0 && size <= MAX_SIZE && CONFIG_PATHS.test(path);
}

function optionsIn(text: string): readonly string[] {
  return [...text.matchAll(/^CONFIG_((?:RD_[A-Z0-9]+=y)|(?:EROFS_[A-Z0-9_]+=[ym]))$/gm)].map(
    ([, line = '']) => line,
  );
}
