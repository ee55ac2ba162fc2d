import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { LKT, TestWorkspace } from './workspace.ts';

vi.setConfig({ testTimeout: 600_000 });

const FILES = {
  'kernel/k/build.yml': 'org: t\nimage: kernel\n',
  'kernel/k/Dockerfile': 'FROM scratch\n',
  'pkg/init/build.yml': 'org: t\nimage: init\n',
  'pkg/init/Dockerfile': 'FROM scratch\n',
};

test('the package works in another repository, as Nx loads plugins by default', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  await workspace.install();
  workspace.env['NX_ISOLATE_PLUGINS'] = 'true';
  await workspace.nx('g', '@lkt/nx-plugin:package', 'hello', '--from=t/init');
  await workspace.nx('g', '@lkt/nx-plugin:image', 'first');
  await workspace.nx('graph', '--file=graph.json');
  const text = readFileSync(join(workspace.dir, 'graph.json'), 'utf8');
  const { graph } = JSON.parse(text) as {
    graph: { dependencies: Record<string, { target: string }[]> };
  };
  const edges = Object.entries(graph.dependencies).map(
    ([name, found]) => `${name} → ${found.map(({ target }) => target).join(' ')}`,
  );
  expect(edges.toSorted()).toEqual([
    'images → kernel-k pkg-init',
    'kernel-k → ',
    'pkg-hello → pkg-init',
    'pkg-init → ',
  ]);
});

test('what a generator writes builds as it is', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  await workspace.nx('g', '@lkt/nx-plugin:package', 'hello');
  expect(await workspace.tasks('run', 'pkg-hello:pkg-build')).toEqual(['pkg-hello:pkg-build run']);
  await workspace.nx('g', '@lkt/nx-plugin:package', 'deb', '--debian=dash,sed');
  const read = (file: string): string => readFileSync(join(workspace.dir, file), 'utf8');
  expect(read('pkg/deb/build.yml')).toContain('org: t\nimage: deb\n');
  const again = await workspace.nx('g', '@lkt/nx-plugin:package', 'hello').catch(String);
  expect(again).toContain('pkg/hello is a package already');
  await workspace.nx('g', '@lkt/nx-plugin:image', 'first');
  expect(await workspace.lkt('build', '--dry-run', 'images/first.yml')).toContain(
    'image: "@pkg:../kernel/k"',
  );
});
