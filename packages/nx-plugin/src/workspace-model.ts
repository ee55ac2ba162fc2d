import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join, matchesGlob } from 'node:path';
import { digestOf, LktError } from '@lkt/core';
import { type ConfigInputs, configInputs, inputStates, loadConfig } from '@lkt/image';
import {
  type ActionInputs,
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
  /** Of all packages that were read. */
  readonly hashes: ActionInputs['hashes'];
  /** The states of other files, as they were read. */
  readonly files: ActionInputs['files'];
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
  const texts = await textsOf(real, files, settings);
  const isOf = (kind: Kind): [string, string][] =>
    [...texts].filter(([file, text]) => kindOf(file, text, settings) === kind);
  const buildYmls = isOf('package').map(([file]) => file);
  const configs = isOf('image');
  const fleets = isOf('fleet').map(([file]) => ({ file, dir: dirname(file) }));
  if (buildYmls.length === 0 && configs.length === 0)
    return {
      root: real,
      workspace: undefined,
      packages: [],
      images: [],
      fleets,
      hashes: new Map(),
      files: new Map(),
    };
  const workspace = await openWorkspace(real, { env, buildYml: settings.buildYml });
  const items = [];
  for (const file of buildYmls) items.push(await workspace.packageAt(dirname(file)));
  const { nodes, hashes } = await packageGraph(workspace, items);
  const read = await Promise.all(
    configs.map(async ([file, text]) => readImage(workspace, real, file, text)),
  );
  return {
    root: real,
    workspace,
    packages: nodes.map((node, index) => {
      const file = buildYmls[index] ?? '';
      return { node, file, dir: dirname(file) };
    }),
    images: read.map(({ image }) => image),
    fleets,
    hashes,
    files: new Map([
      ...[...texts].map(([file, text]) => [join(real, file), digestOf(text)] as const),
      ...read.flatMap(({ states }) => [...states]),
    ]),
  };
}

type Kind = 'package' | 'image' | 'fleet';

/** Returns the texts of the files that may be of a kind, by path. */
async function textsOf(
  root: string,
  files: readonly string[],
  { buildYml, fleetYml, images }: Settings,
): Promise<ReadonlyMap<string, string>> {
  const named = files.filter(
    (file) =>
      [buildYml, fleetYml].includes(basename(file)) ||
      images.some((glob) => matchesGlob(file, glob)),
  );
  // For instance a forge's workflows.
  const visible = named.filter((file) => !file.split('/').some((part) => part.startsWith('.')));
  return new Map(
    await Promise.all(
      visible.map(async (file) => [file, await readFile(join(root, file), 'utf8')] as const),
    ),
  );
}

/**
 * Recognises packages, image configs and fleets by their keys: other tools have build.yml and YAML
 * files too.
 */
function kindOf(file: string, text: string, { buildYml, fleetYml }: Settings): Kind | undefined {
  if (basename(file) === buildYml) return declaresPackage(text) ? 'package' : undefined;
  const isFleet = basename(file) === fleetYml;
  if (isFleet && /^groups\s*:/m.test(text) && /^providers\s*:/m.test(text)) return 'fleet';
  return /^(kernel|init|onboot|onshutdown|services)\s*:/m.test(text) ? 'image' : undefined;
}

async function readImage(
  workspace: Workspace,
  root: string,
  file: string,
  text: string,
): Promise<{ readonly image: ModelImage; readonly states: ActionInputs['files'] }> {
  const image = { file, dir: dirname(file), name: basename(file, extname(file)) };
  try {
    const config = { path: file, absolute: join(root, file), text };
    const loaded = await loadConfig([config]);
    const inputs = await configInputs(workspace, loaded);
    return { image: { ...image, inputs }, states: inputStates(loaded) };
  } catch (error) {
    // A config that is merged with others, or needs values for variables, cannot be read by itself.
    if (!(error instanceof LktError)) throw error;
    return { image: { ...image, inputs: undefined }, states: new Map() };
  }
}
