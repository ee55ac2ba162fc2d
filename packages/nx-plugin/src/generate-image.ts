import { join, relative } from 'node:path';
import type { Tree } from '@nx/devkit';
import { openWorkspace, type Package, type Workspace } from '@lkt/pkg';
import { rethrowPlain, PlainError } from './plain-error.ts';

/** Options of the image generator (schemas/image.json). */
export interface ImageOptions {
  readonly name: string;
  readonly directory?: string;
  readonly kernel?: string;
  readonly init?: readonly string[];
}

/**
 * Generates the config of a bootable image (`nx g @lkt/nx-plugin:image NAME`), from packages of the
 * workspace as far as possible.
 */
export async function generateImage(tree: Tree, options: ImageOptions): Promise<void> {
  const { name } = options;
  if (!/^\w[\w.-]*$/.test(name)) throw new PlainError(`"${name}" is not a file name`);
  const directory = options.directory ?? (tree.exists('examples') ? 'examples' : 'images');
  const file = join(directory, `${name}.yml`);
  if (tree.exists(file)) throw new PlainError(`${file} exists already`);
  const workspace = await openWorkspace(tree.root, { env: process.env }).catch(rethrowPlain);
  const inConfig = (item: Package): string =>
    `@pkg:${relative(join(tree.root, directory), join(tree.root, relative(workspace.root, item.dir)))}`;
  const own = kernelOf(workspace);
  const kernel = options.kernel ?? (own && inConfig(own));
  if (kernel === undefined)
    throw new PlainError('no package of this workspace is a kernel: pass an image with --kernel');
  const init = options.init ?? initOf(workspace).map(inConfig);
  if (init.length === 0)
    throw new PlainError('no package of this workspace is an init: pass images with --init');
  tree.write(
    file,
    `kernel:
  image: "${kernel}"
  cmdline: console=ttyS0 panic=1
init:
${init.map((image) => `  - "${image}"\n`).join('')}`,
  );
}

/** Prefers `kernel` to names with a suffix, such as `kernel-debug`. */
function kernelOf({ packages }: Workspace): Package | undefined {
  return [...packages.values()]
    .filter(({ image }) => /^kernel(?!.*-base$)/.test(image))
    .toSorted((a, b) => a.image.length - b.image.length)[0];
}

function initOf({ packages }: Workspace): readonly Package[] {
  const all = [...packages.values()];
  return ['init', 'runc', 'containerd'].flatMap(
    (name) => all.find(({ image }) => image === name) ?? [],
  );
}
