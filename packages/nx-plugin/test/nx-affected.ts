import { createRequire } from 'node:module';
import type { NxJsonConfiguration, ProjectConfiguration, ProjectGraph } from '@nx/devkit';
import { createDependencies, createNodes } from '../src/index.ts';
import { git } from './commits.ts';

/** Loads the modules behind `nx affected` in this process, for a workspace. */
export function affectedByNx(
  dir: string,
): (
  nxJson: NxJsonConfiguration,
  graph: ProjectGraph,
  files: readonly string[],
) => Promise<readonly string[]> {
  process.env['NX_WORKSPACE_ROOT_PATH'] = dir;
  process.env['NX_DAEMON'] = 'false';
  const load = createRequire(import.meta.url);
  const { computeAffectedTasks } = load('nx/src/project-graph/affected/affected-tasks') as {
    computeAffectedTasks: (options: object) => Promise<{ affectedTaskIds: ReadonlySet<string> }>;
  };
  const { calculateFileChanges } = load('nx/src/project-graph/file-utils') as {
    calculateFileChanges: (files: readonly string[], args: object) => unknown;
  };
  return async (nxJson, projectGraph, files) => {
    const args = { base: 'HEAD~1', head: 'HEAD' };
    const { affectedTaskIds } = await computeAffectedTasks({
      nxJson,
      projectGraph,
      targets: ['pkg-build'],
      touchedFiles: calculateFileChanges(files, args),
      fileChangeArgs: args,
      selectivelyHashTsConfig: false,
      packageJson: {},
    });
    return [...affectedTaskIds].map((id) => id.split(':')[0] ?? '');
  };
}

/** Returns the graph that the plugin reports to Nx. */
export async function graphOf(dir: string, nxJson: NxJsonConfiguration): Promise<ProjectGraph> {
  const files = git(dir, 'ls-files', '--', '*build.yml').trimEnd().split('\n');
  const context = { workspaceRoot: dir, nxJsonConfiguration: nxJson };
  const nodes: ProjectGraph['nodes'] = {};
  const projects: Record<string, ProjectConfiguration> = {};
  for (const [, result] of await createNodes[1](files, {}, context))
    for (const [root, project] of Object.entries(result.projects ?? {})) {
      const { name = root } = project;
      projects[name] = { ...project, root };
      nodes[name] = { name, type: 'lib', data: { ...project, root } };
    }
  const edges = await createDependencies(
    {},
    {
      ...context,
      projects,
      externalNodes: {},
      fileMap: { projectFileMap: {}, nonProjectFiles: [] },
      filesToProcess: { projectFileMap: {}, nonProjectFiles: [] },
    },
  );
  const dependencies = Object.fromEntries(
    Object.keys(nodes).map((name) => [name, edges.filter(({ source }) => source === name)]),
  );
  return { nodes, externalNodes: {}, dependencies };
}
