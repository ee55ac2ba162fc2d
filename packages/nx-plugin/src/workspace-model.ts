import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join, matchesGlob } from 'node:path';
import { LktError } from '@lkt/core';
import { type ConfigInputs, configInputs, loadConfig } from '@lkt/image';
import {
  declaresPackage,
  openWorkspace,
  packageGraph,
  type PackageNode,
  type Workspace,
} from '@lkt/pkg';
import type { Settings } from './options.ts';

/** The packages and images of an Nx workspace. */
export interface WorkspaceModel {
  /** Path of the workspace, without symlinks. */
  readonly root: string;
  /** Undefined if there are neither packages nor images. */
  readonly workspace: Workspace | undefined;
  readonly packages: readonly ModelPackage[];
  readonly images: readonly ModelImage[];
  readonly fleets: readonly ModelFleet[];
}

/** A fleet of the workspace. Paths are relative to the Nx workspace. */
interface ModelFleet {
  readonly file: string;
  readonly dir: string;
}

/** A package of the workspace. */
export interface ModelPackage {
  readonly node: PackageNode;
  /** Paths of its build.yml and directory, relative to the Nx workspace. */
  readonly file: string;
  readonly dir: string;
}

/** An image config of the workspace. */
export interface ModelImage {
  /** Paths of its config and the config's directory, relative to the Nx workspace. */
  readonly file: string;
  readonly dir: string;
  readonly name: string;
  /** Undefined for a config that cannot be read by itself; building it reports why. */
  readonly inputs: ConfigInputs | undefined;
}

/**
 * Reads packages and image configs.
 * @param files candidate files, relative to `root`
 * @throws CONFIG_INVALID with the location of an error in a package, and other errors of
 * `openWorkspace`
 */
export async function readModel(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<WorkspaceModel> {
  const real = await realpath(root);
  const found = await Promise.all(files.map((file) => kindOf(real, file, settings)));
  const isOf = (kind: Kind): string[] => files.filter((_file, index) => found[index] === kind);
  const [buildYmls, configs] = [isOf('package'), isOf('image')];
  const fleets = isOf('fleet').map((file) => ({ file, dir: dirname(file) }));
  if (buildYmls.length === 0 && configs.length === 0)
    return { root: real, workspace: undefined, packages: [], images: [], fleets };
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
    fleets,
  };
}

type Kind = 'package' | 'image' | 'fleet';

/**
 * Recognises packages, image configs and fleets by their keys: other tools have build.yml and YAML
 * files too.
 */
async function kindOf(
  root: string,
  file: string,
  { buildYml, fleetYml, images }: Settings,
): Promise<Kind | undefined> {
  const isPackage = basename(file) === buildYml;
  const isFleet = basename(file) === fleetYml;
  if (!isPackage && !isFleet && !images.some((glob) => matchesGlob(file, glob))) return undefined;
  // For instance a forge's workflows.
  if (file.split('/').some((part) => part.startsWith('.'))) return undefined;
  const text = await readFile(join(root, file), 'utf8');
  if (isPackage) return declaresPackage(text) ? 'package' : undefined;
  if (isFleet && /^groups\s*:/m.test(text) && /^providers\s*:/m.test(text)) return 'fleet';
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
    // A config that is merged with others, or needs values for variables, cannot be read by itself.
    if (!(error instanceof LktError)) throw error;
    return { ...image, inputs: undefined };
  }
}
