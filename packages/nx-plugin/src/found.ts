import { join } from 'node:path';
import type { CreateNodesResult } from '@nx/devkit';
import { graphRecord } from '@lkt/pkg';
import { imageTargets } from './image-targets.ts';
import { type Model, readModel } from './model.ts';
import type { Settings } from './options.ts';
import { packageTargets } from './package-targets.ts';
import { pathIn } from './path-in.ts';
import { projectNames } from './project-names.ts';

/** What the plugin tells Nx of a workspace. */
export interface Found {
  readonly nodes: readonly (readonly [file: string, CreateNodesResult])[];
  readonly edges: readonly Edge[];
}

/** That something uses a package. Paths from the top of the workspace. */
interface Edge {
  /** Their directories. */
  readonly from: string;
  readonly to: string;
  /** What says so, if it is in the workspace. */
  readonly file?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the packages and images of a workspace.
 * @param files what may be one, from `root`
 * @returns with a way to make a record of it, for `findRecord`
 * @throws LktError as `readModel`
 */
export async function find(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Environment,
): Promise<{ found: Found; recordOf: (result: object) => object | undefined }> {
  const model = await readModel(root, files, settings, env);
  return {
    found: { nodes: nodesOf(model, settings), edges: edgesOf(model) },
    recordOf: (result) => {
      const { workspace, packages, images } = model;
      // What cannot be read now may be another time, and nothing says when to look again.
      if (workspace === undefined || images.some(({ inputs }) => inputs === undefined))
        return undefined;
      const read = images.flatMap(({ inputs }) => inputs?.files ?? []);
      const graph = {
        workspace,
        nodes: packages.map(({ node }) => node),
        files: [...files.map((file) => join(model.root, file)), ...read],
        result,
      };
      return graphRecord(graph, model.root, env);
    },
  };
}

function nodesOf({ root, packages, images }: Model, settings: Settings): Found['nodes'] {
  const names = projectNames(new Set([...packages, ...images].map(({ dir }) => dir)));
  const named = (dir: string): { readonly name: string } => ({ name: names.get(dir) ?? dir });
  const projects = new Map(packages.map(({ node, dir }) => [node.item.name, named(dir).name]));
  const nodes: [string, CreateNodesResult][] = [];
  for (const found of packages) {
    const targets = packageTargets(found, root, settings);
    nodes.push([found.file, { projects: { [found.dir]: { ...named(found.dir), targets } } }]);
  }
  for (const dir of new Set(images.map((image) => image.dir))) {
    const own = images.filter((image) => image.dir === dir);
    const targets = imageTargets(own, root, settings, projects);
    // A package has a target of this name too.
    if (packages.some((found) => found.dir === dir)) delete targets['verify'];
    nodes.push([own[0]?.file ?? dir, { projects: { [dir]: { ...named(dir), targets } } }]);
  }
  return nodes;
}

function edgesOf({ root, packages, images }: Model): readonly Edge[] {
  const users = [
    ...packages.map(({ node, dir }) => ({ dir, uses: node.uses })),
    ...images.map(({ inputs, dir }) => ({ dir, uses: inputs?.uses ?? [] })),
  ];
  return users.flatMap(({ dir: from, uses }) =>
    uses.flatMap((use) => {
      const to = pathIn(root, use.package.dir);
      const file = pathIn(root, use.file);
      if (to === undefined) return [];
      return [{ from, to, file }];
    }),
  );
}
