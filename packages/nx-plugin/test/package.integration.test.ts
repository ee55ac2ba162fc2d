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

test('the npm package works in another repository, as Nx loads plugins by default', async () => {
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

test('the npm package tells an older Node what it needs', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  await workspace.install();
  const plugin = join(workspace.dir, 'node_modules/@lkt/nx-plugin');
  const { engines } = JSON.parse(readFileSync(join(plugin, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  expect(engines).toEqual({ node: '>=24.15.0' });
  const load = (version: string): Promise<string> => {
    const set = `Object.defineProperty(process, 'versions', { value: { node: '${version}' } })`;
    return workspace.run(process.execPath, '-e', `${set}; require(${JSON.stringify(plugin)})`);
  };
  for (const version of ['20.20.2', '24.9.9'])
    await expect(load(version)).rejects.toThrow('@lkt/nx-plugin needs Node 24.15.0 or later');
  for (const version of ['24.15.0', '25.0.0']) await load(version);
  // The whole file must be readable for the oldest Node that Nx runs on.
  const program = readFileSync(join(plugin, 'index.js'), 'utf8');
  expect(program).not.toMatch(/\b(?:using|import|export)\b/);
});

test('generated packages and images build without changes', async () => {
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

/** Changes that must invalidate the cached projects. */
const CHANGES: Readonly<Record<string, (workspace: TestWorkspace) => void>> = {
  'a file that is not committed': (at) => at.write({ 'pkg/init/new': 'x' }),
  'a commit of the same': (at) => at.commit(),
  'a file in its Dockerfile': (at) => {
    at.write({ 'pkg/init/Dockerfile': 'FROM scratch\nCOPY new /new\n' });
    at.commit();
  },
  'another package': (at) => {
    at.write({ 'pkg/b/build.yml': 'org: t\nimage: b\n', 'pkg/b/Dockerfile': 'FROM scratch\n' });
    at.commit();
  },
  'an image config': (at) => at.write({ 'images/one.yml': 'init:\n  - "@pkg:../pkg/init"\n' }),
  'a change of it': (at) => at.write({ 'images/one.yml': 'init:\n  - "@pkg:../pkg/b"\n' }),
  'an option': (at) => {
    const text = readFileSync(join(at.dir, 'nx.json'), 'utf8');
    at.write({ 'nx.json': text.replace('"lkt":', '"timeout":1,"lkt":') });
  },
};

test('caches the projects until an input changes', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  await workspace.install();
  await workspace.nx('run-many', '-t', 'pkg-build');
  const record = join(workspace.dir, '.nx/lkt/.projects.json');
  const names = async (): Promise<readonly string[]> =>
    (await workspace.nx('show', 'projects')).split('\n').filter((name) => name.startsWith('pkg-'));
  const remember = async (): Promise<void> => {
    workspace.commit();
    await names();
    const text = readFileSync(record, 'utf8');
    expect(text).toContain('"name":"pkg-init"');
    // Only the cache entry has this name.
    workspace.write({ '.nx/lkt/.projects.json': text.replace('"pkg-init"', '"pkg-remembered"') });
    expect(await names()).toContain('pkg-remembered');
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    if (what !== 'a commit of the same') await remember();
    change(workspace);
    expect(await names(), what).toContain('pkg-init');
  }
});
