import { env } from 'node:process';
import type {
  CreateDependencies,
  CreateNodes,
  CreateNodesContext,
  CreateNodesResult,
  PostTasksExecution,
  RawProjectGraphDependency,
} from '@nx/devkit';
import { imageTargets } from './image-targets.ts';
import { type Model, pathIn, readModel } from './model.ts';
import { type LktOptions, projectGlob, settingsOf } from './options.ts';
import { packageTargets } from './package-targets.ts';
import { inPlainWords } from './plain-error.ts';
import { projectNames } from './project-names.ts';
import { checkRestored } from './restored.ts';

export const name = '@lkt/nx-plugin';

/** What was read last for each workspace and options: Nx asks for edges right after the projects. */
const models = new Map<string, Model>();

/** The packages and images of a workspace, as projects with targets. */
export const createNodes: CreateNodes<LktOptions> = [
  projectGlob(process.cwd()),
  async (files, options, context) => {
    const settings = settingsOf(options);
    const model = await readModel(context.workspaceRoot, files, settings, env).catch(inPlainWords);
    models.set(keyOf(options, context), model);
    const dirs = new Set([...model.packages, ...model.images].map(({ dir }) => dir));
    const names = projectNames(dirs);
    const projects = new Map(
      model.packages.map(({ node, dir }) => [node.item.name, names.get(dir) ?? dir]),
    );
    const results: [string, CreateNodesResult][] = [];
    for (const found of model.packages) {
      const targets = packageTargets(found, model.root, settings);
      results.push([found.file, { projects: { [found.dir]: { ...named(found.dir), targets } } }]);
    }
    for (const dir of new Set(model.images.map((image) => image.dir))) {
      const images = model.images.filter((image) => image.dir === dir);
      const targets = imageTargets(images, model.root, settings, projects);
      // A package has a target of this name too.
      if (model.packages.some((found) => found.dir === dir)) delete targets['verify'];
      const file = images[0]?.file ?? dir;
      results.push([file, { projects: { [dir]: { ...named(dir), targets } } }]);
    }
    return results;

    function named(dir: string): { readonly name: string } {
      return { name: names.get(dir) ?? dir };
    }
  },
];

/** Which packages and images use which packages. */
export const createDependencies: CreateDependencies<LktOptions> = (options, context) => {
  const model = models.get(keyOf(options, context));
  if (model === undefined) return [];
  const projects = new Map(
    Object.entries(context.projects).map(([project, { root }]) => [root, project]),
  );
  const found: RawProjectGraphDependency[] = [];
  const add = (from: string, to: string | undefined, file: string): void => {
    const source = projects.get(from);
    const target = to === undefined ? undefined : projects.get(to);
    const sourceFile = pathIn(model.root, file);
    if (source === undefined || target === undefined || source === target) return;
    const files = context.fileMap.projectFileMap[source] ?? [];
    const isStatic = sourceFile !== undefined && files.some((one) => one.file === sourceFile);
    const edge = isStatic ? { sourceFile, type: 'static' } : { type: 'implicit' };
    // The type is an enum of these texts; to import it would load all of Nx's kit.
    found.push({ source, target, ...edge } as unknown as RawProjectGraphDependency);
  };
  for (const { node, dir } of model.packages)
    for (const use of node.uses) add(dir, pathIn(model.root, use.package.dir), use.file);
  for (const { inputs, dir } of model.images)
    for (const use of inputs?.uses ?? []) add(dir, pathIn(model.root, use.package.dir), use.file);
  return found;
};

/** What Nx has restored is checked at once, not only when it is used. */
export const postTasksExecution: PostTasksExecution<LktOptions> = async (options, context) =>
  checkRestored(settingsOf(options), context);

function keyOf(
  options: LktOptions | undefined,
  context: Pick<CreateNodesContext, 'workspaceRoot'>,
): string {
  return JSON.stringify([context.workspaceRoot, options ?? {}]);
}
