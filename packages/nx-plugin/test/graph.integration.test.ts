import type { ProjectConfiguration, ProjectGraph } from '@nx/devkit';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TestWorkspace } from './workspace.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** Packages with every kind of dependency. */
const FILES = {
  'README.md': 'All of it.\n',
  'pkg/base/build.yml': 'org: t\nimage: base\n',
  'pkg/base/Dockerfile': 'FROM scratch\n',
  'pkg/tool/build.yml': 'org: t\nimage: tool\n',
  'pkg/tool/Dockerfile': `FROM t/base@${DIGEST}\n`,
  'deep/down/app/build.yml': 'org: t\nimage: app\nextra-sources:\n  - ../../../lib:lib\n',
  'deep/down/app/Dockerfile': `FROM other.example/x:1@${DIGEST} AS x
FROM scratch
COPY --from=t/tool:1@${DIGEST} / /
`,
  'deep/down/app/inner/project.json': '{ "name": "inner" }',
  'lib/a.c': 'int a;\n',
  'pkg/calculated/build.yml': 'org: t\nimage: calculated\nbuildArgs:\n  - BASE=@lkt:pkg:../base\n',
  'pkg/calculated/Dockerfile': 'ARG BASE\nFROM ${BASE}\n',
  'pkg/arm/build.yml': 'org: t\nimage: arm\narches: [arm64]\n',
  'pkg/arm/Dockerfile': 'FROM scratch\n',
  'examples/one.yml': `init:\n  - t/app:1@${DIGEST}\n  - other.example/y:1@${DIGEST}\nfiles:\n  - path: a\n    source: ../lib\n`,
  'examples/two.yml': 'onboot:\n  - name: tool\n    image: "@pkg:../pkg/tool"\n',
  'examples/three.yml': 'init:\n  - t/base:1\nfiles:\n  - path: a\n    source: ~/.ssh/id.pub\n',
  'examples/values.yml': 'not: an image\n',
  'fleets/shop/fleet.yml': "version: '1'\nname: shop\nproviders: {}\ngroups: {}\n",
  // A file of another tool.
  'trucks/fleet.yml': 'trucks: 3\n',
  // Files of other tools.
  '.github/workflows/build.yml': 'image: x\n',
  'ansible/build.yml': '- hosts: all\n',
};

test('the graph has the dependencies in Dockerfiles, build.yml files and image configs', async () => {
  await using workspace = await TestWorkspace.create(FILES);
  await workspace.nx('graph', '--file=graph.json');
  const { graph } = JSON.parse(readFileSync(join(workspace.dir, 'graph.json'), 'utf8')) as {
    graph: ProjectGraph;
  };
  const edges = Object.values(graph.dependencies)
    .flat()
    .map(({ source, target, type }) => `${source} → ${target} ${type}`);
  expect(edges.toSorted()).toEqual([
    'deep-down-app → pkg-tool static',
    'examples → deep-down-app static',
    'examples → pkg-base static',
    'examples → pkg-tool static',
    'pkg-calculated → pkg-base static',
    'pkg-tool → pkg-base static',
  ]);
  const names = Object.keys(graph.nodes).toSorted();
  expect(names).toEqual([
    'deep-down-app',
    'examples',
    'fleets-shop',
    'inner',
    'pkg-arm',
    'pkg-base',
    'pkg-calculated',
    'pkg-tool',
  ]);
});

/** Returns the dependencies of a target on that of each image. */
function ofImages(target: string, params: string): readonly object[] {
  return ['one', 'three', 'two'].map((name) => ({ target: `${target}--${name}`, params }));
}

test('packages and images have targets with the inputs that lkt reads', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: 'npx lkt', out: 'dist' });
  const show = async (project: string): Promise<ProjectConfiguration> =>
    JSON.parse(await workspace.nx('show', 'project', project, '--json')) as ProjectConfiguration;
  const { projectType, targets: app = {} } = await show('deep-down-app');
  expect(projectType).toBe('library');
  expect(Object.keys(app).toSorted()).toEqual([
    'pin',
    'pkg-build',
    'pkg-check',
    'pkg-push',
    'pkg-sign',
    'verify',
  ]);
  const { command } = (app['pkg-build']?.options ?? {}) as { command?: string };
  expect(command).toContain('npx lkt pkg build ');
  expect(command).toContain(' deep/down/app');
  expect(app['pkg-build']?.inputs).toEqual([
    '{workspaceRoot}/deep/down/app/**/*',
    '{workspaceRoot}/lib/**/*',
    { externalDependencies: [] },
    { dependentTasksOutputFiles: '**/index.json' },
  ]);
  expect(app['pkg-build']?.outputs).toEqual(['{workspaceRoot}/.nx/lkt/t+app']);
  expect(Object.keys((await show('pkg-arm')).targets ?? {})).toEqual(['verify']);

  expect(app['pin']).toMatchObject({
    cache: false,
    parallelism: false,
    dependsOn: [{ target: 'pin', dependencies: true, params: 'forward' }],
  });
  expect(app['pin']?.options).toMatchObject({ command: 'npx lkt pin deep/down/app' });

  const { projectType: kind, targets: examples = {} } = await show('examples');
  expect(kind).toBe('application');
  expect(examples['pin']?.dependsOn).toEqual(ofImages('pin', 'forward'));
  expect(examples['pin--one']?.options).toMatchObject({ command: 'npx lkt pin examples/one.yml' });
  expect(examples['image-build']?.dependsOn).toEqual(ofImages('image-build', 'ignore'));
  const one = examples['image-build--one'];
  expect(one?.dependsOn).toEqual([
    { projects: ['deep-down-app'], target: 'pkg-build', params: 'ignore' },
  ]);
  expect(one?.inputs?.slice(0, 3)).toEqual([
    '{workspaceRoot}/examples/one.yml',
    '{workspaceRoot}/lib',
    '{workspaceRoot}/lib/**/*',
  ]);
  const fleet = (await show('fleets-shop')).targets ?? {};
  expect(Object.keys(fleet).toSorted()).toEqual(['fleet-apply', 'fleet-plan']);
  expect(fleet['fleet-apply']).toMatchObject({
    cache: false,
    options: { command: 'npx lkt fleet apply --file fleets/shop/fleet.yml' },
  });

  for (const name of ['image-run', 'image-test', 'verify'])
    expect(Object.keys(examples)).toContain(`${name}--two`);
});

test('an error in a package has its location and no stack', async () => {
  const broken = { 'pkg/base/build.yml': 'org: t\nimage: base\nimages: 1\n' };
  await using workspace = await TestWorkspace.create({ ...FILES, ...broken });
  const output = await workspace.nx('show', 'projects').catch(String);
  expect(output).toContain('pkg/base/build.yml:3:1');
  expect(output).not.toContain('workspace-model.ts');
});
