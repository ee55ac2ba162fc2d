import { env } from 'node:process';
import type {
  CreateDependencies,
  CreateNodes,
  CreateNodesContext,
  PostTasksExecution,
  RawProjectGraphDependency,
} from '@nx/devkit';
import { type LktOptions, projectGlob, settingsOf } from './options.ts';
import { cachedProjects } from './cached-projects.ts';
import type { Projects } from './projects.ts';
import { checkRestored } from './check-restored.ts';

/** Name of the plugin in nx.json. */
export const name = '@lkt/nx-plugin';

/** The latest projects by workspace and options: Nx asks for dependencies right after the nodes. */
const latest = new Map<string, Projects>();

/** Adds the packages and images of a workspace as projects with targets. */
export const createNodes: CreateNodes<LktOptions> = [
  projectGlob(process.cwd()),
  async (files, options, context) => {
    const projects = await cachedProjects(context.workspaceRoot, files, settingsOf(options), env);
    latest.set(keyOf(options, context), projects);
    return projects.nodes.map(([file, result]) => [file, result]);
  },
];

/** Adds the dependencies of packages and images on packages. */
export const createDependencies: CreateDependencies<LktOptions> = (options, context) => {
  const projects = new Map(
    Object.entries(context.projects).map(([project, { root }]) => [root, project]),
  );
  const { edges = [] } = latest.get(keyOf(options, context)) ?? {};
  return edges.flatMap(({ from, to, file: sourceFile }): RawProjectGraphDependency[] => {
    const source = projects.get(from);
    const target = projects.get(to);
    if (source === undefined || target === undefined || source === target) return [];
    const files = context.fileMap.projectFileMap[source] ?? [];
    const isStatic = sourceFile !== undefined && files.some((one) => one.file === sourceFile);
    const edge = isStatic ? { sourceFile, type: 'static' } : { type: 'implicit' };
    // The type is an enum of these strings; importing it would load all of Nx's devkit.
    return [{ source, target, ...edge } as unknown as RawProjectGraphDependency];
  });
};

/** Checks restored packages after the tasks, before they are used. */
export const postTasksExecution: PostTasksExecution<LktOptions> = async (options, context) =>
  checkRestored(settingsOf(options), context);

function keyOf(
  options: LktOptions | undefined,
  context: Pick<CreateNodesContext, 'workspaceRoot'>,
): string {
  return JSON.stringify([context.workspaceRoot, options ?? {}]);
}
