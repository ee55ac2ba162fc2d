import type { CreateNodesResult } from '@nx/devkit';
import { type ActionInputs, type Environment } from '@lkt/pkg';
import { fleetTargets } from './fleet-targets.ts';
import { imageTargets } from './image-targets.ts';
import { type WorkspaceModel, readModel } from './workspace-model.ts';
import type { Settings } from './options.ts';
import { packageTargets } from './package-targets.ts';
import { workspacePath } from './workspace-path.ts';

/** The projects and dependencies that the plugin adds to Nx's graph. */
export interface Projects {
  readonly nodes: readonly (readonly [file: string, CreateNodesResult])[];
  readonly edges: readonly Edge[];
}

/** A dependency on a package. Paths are relative to the workspace. */
interface Edge {
  /** Directories of the dependent project and the package. */
  readonly from: string;
  readonly to: string;
  /** File that declares the dependency, if it is in the workspace. */
  readonly file?: string;
}

/**
 * Reads the packages and images of a workspace as Nx projects.
 * @param files candidate files, relative to `root`
 * @returns the projects, and the inputs that were read, for the action cache; `inputs` is undefined
 * if an image config cannot be read
 * @throws the errors of `readModel`
 */
export async function readProjects(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Environment,
): Promise<{ readonly projects: Projects; readonly inputs: ActionInputs | undefined }> {
  const model = await readModel(root, files, settings, env);
  return {
    projects: { nodes: nodesOf(model, settings), edges: edgesOf(model) },
    inputs: inputsOf(model),
  };
}

/**
 * Returns the inputs that a model was read from, for the action cache; undefined if an image config
 * cannot be read, which may change without a change of the tracked files.
 */
export function inputsOf({
  workspace,
  hashes,
  files,
  images,
}: WorkspaceModel): ActionInputs | undefined {
  if (workspace === undefined || images.some(({ inputs }) => inputs === undefined))
    return undefined;
  return { workspace, hashes, files, storePaths: [] };
}

function nodesOf(
  { root, packages, images, fleets }: WorkspaceModel,
  settings: Settings,
): Projects['nodes'] {
  const names = projectNames(new Set([...packages, ...images, ...fleets].map(({ dir }) => dir)));
  const named = (dir: string): { readonly name: string } => ({ name: names.get(dir) ?? dir });
  const projects = new Map(packages.map(({ node, dir }) => [node.item.name, named(dir).name]));
  const nodes: [string, CreateNodesResult][] = [];
  for (const found of packages) {
    const targets = packageTargets(found, root, settings);
    const project = { ...named(found.dir), projectType: 'library' as const, targets };
    nodes.push([found.file, { projects: { [found.dir]: project } }]);
  }
  for (const dir of new Set(images.map((image) => image.dir))) {
    const own = images.filter((image) => image.dir === dir);
    const targets = imageTargets(own, root, settings, projects);
    // The package has targets of the same names.
    if (packages.some((found) => found.dir === dir)) {
      delete targets['pin'];
      delete targets['verify'];
    }
    const project = { ...named(dir), projectType: 'application' as const, targets };
    nodes.push([own[0]?.file ?? dir, { projects: { [dir]: project } }]);
  }
  for (const { file, dir } of fleets) {
    const targets = fleetTargets(file, settings);
    nodes.push([file, { projects: { [dir]: { ...named(dir), targets } } }]);
  }
  return nodes;
}

function edgesOf({ root, packages, images }: WorkspaceModel): readonly Edge[] {
  const users = [
    ...packages.map(({ node, dir }) => ({ dir, uses: node.uses })),
    ...images.map(({ inputs, dir }) => ({ dir, uses: inputs?.uses ?? [] })),
  ];
  return users.flatMap(({ dir: from, uses }) =>
    uses.flatMap((use) => {
      const to = workspacePath(root, use.package.dir);
      const file = workspacePath(root, use.file);
      if (to === undefined) return [];
      return [{ from, to, file }];
    }),
  );
}

/**
 * Returns project names by directory: `pkg-sshd` for `pkg/sshd`, unless two directories would share
 * the name.
 */
function projectNames(dirs: ReadonlySet<string>): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  for (const dir of dirs) counts.set(short(dir), (counts.get(short(dir)) ?? 0) + 1);
  return new Map(
    [...dirs].map((dir) => [dir, (counts.get(short(dir)) ?? 0) > 1 ? dir : short(dir)]),
  );
}

function short(dir: string): string {
  return dir === '.' ? 'root' : dir.replaceAll('/', '-');
}
