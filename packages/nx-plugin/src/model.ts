import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join, matchesGlob } from 'node:path';
import { LktError } from '@lkt/core';
import { type ConfigInputs, configInputs, loadConfig } from '@lkt/image';
import { openWorkspace, packageGraph, type PackageNode, type Workspace } from '@lkt/pkg';
import type { Settings } from './options.ts';

/** What a workspace of Nx knows how to build. */
export interface Model {
  /** Of the workspace; without symlinks. */
  readonly root: string;
  /** undefined where there is neither package nor image. */
  readonly workspace: Workspace | undefined;
  readonly packages: readonly ModelPackage[];
  readonly images: readonly ModelImage[];
}

export interface ModelPackage {
  readonly node: PackageNode;
  /** Its build.yml and its directory, from the top of the workspace of Nx. */
  readonly file: string;
  readonly dir: string;
}

export interface ModelImage {
  /** Its config and the directory of that, from the top of the workspace of Nx. */
  readonly file: string;
  readonly dir: string;
  readonly name: string;
  /** undefined for a config that cannot be read as it is: building it says why. */
  readonly inputs: ConfigInputs | undefined;
}

/**
 * Reads packages and image configs, as lkt itself does.
 * @param files what may be one, from `root`
 * @throws LktError for a package with a mistake, at its place
 */
export async function readModel(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Model> {
  const real = await realpath(root);
  const found = await Promise.all(files.map((file) => kindOf(real, file, settings)));
  const isOf = (kind: Kind): string[] => files.filter((_file, index) => found[index] === kind);
  const [buildYmls, configs] = [isOf('package'), isOf('image')];
  if (buildYmls.length === 0 && configs.length === 0)
    return { root: real, workspace: undefined, packages: [], images: [] };
  const workspace = await openWorkspace(real, { env, buildYml: settings.buildYml });
  const items = [];
  for (const file of buildYmls) items.push(await workspace.packageAt(dirname(file)));
  const nodes = await packageGraph(workspace, items);
  return {
    root: real,
    workspace,
    packages: nodes.map((node, index) => {
      const file = buildYmls[index] ?? '';
      return { node, file, dir: dirname(file) };
    }),
    images: await Promise.all(configs.map((file) => readImage(workspace, real, file))),
  };
}

type Kind = 'package' | 'image';

/** A build.yml may be of something else, and not every YAML file is an image config: the first line of each key says. */
async function kindOf(
  root: string,
  file: string,
  { buildYml, images }: Settings,
): Promise<Kind | undefined> {
  const isPackage = basename(file) === buildYml;
  if (!isPackage && !images.some((glob) => matchesGlob(file, glob))) return undefined;
  // Such as the workflows of a forge.
  if (file.split('/').some((part) => part.startsWith('.'))) return undefined;
  const text = await readFile(join(root, file), 'utf8');
  if (isPackage) return /^(['"]?)image\1\s*:/m.test(text) ? 'package' : undefined;
  return /^(kernel|init|onboot|onshutdown|services)\s*:/m.test(text) ? 'image' : undefined;
}

async function readImage(workspace: Workspace, root: string, file: string): Promise<ModelImage> {
  const image = { file, dir: dirname(file), name: basename(file, extname(file)) };
  try {
    const absolute = join(root, file);
    const text = await readFile(absolute, 'utf8');
    const config = { path: file, absolute, text };
    return { ...image, inputs: await configInputs(workspace, await loadConfig([config])) };
  } catch (error) {
    // One that is merged with others, or that wants values of variables, cannot be read by itself.
    if (!(error instanceof LktError)) throw error;
    return { ...image, inputs: undefined };
  }
}
