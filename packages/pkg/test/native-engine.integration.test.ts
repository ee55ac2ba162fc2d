import { chmod, copyFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { nativeEngine } from '@lkt/builder';
import { silentReporter } from '@lkt/core';
import { flatten, layersOf, loadImage, openStore, readFile } from '@lkt/oci';
import { expect, it } from 'vitest';
import type { BuildOptions } from '../src/build/build-options.ts';
import { buildPackages } from '../src/build/build.ts';
import { pinWorkspace } from '../src/pins/pin-workspace.ts';
import { openWorkspace, type Workspace } from '../src/workspace/workspace.ts';
import { checkout, ENV, temporary, write } from '../../git/test/checkout.ts';

const yml = (image: string): string => `org: lkt\nimage: ${image}\narches: [amd64]\n`;

const FILES = {
  'tools/shell/build.yml': yml('shell'),
  'tools/shell/Dockerfile':
    'FROM scratch\nCOPY busybox /bin/\nSHELL ["/bin/busybox", "sh", "-c"]\n',
  'pkg/hello/build.yml': `${yml('hello')}config: { readonly: true }\n`,
  'pkg/hello/Dockerfile':
    'FROM lkt/shell AS build\nCOPY name /\nRUN echo "hello $(busybox cat /name)" > /out\nFROM scratch\nCOPY --from=build /out /hello\nCMD ["/hello"]\n',
  'pkg/hello/name': 'world\n',
};

async function workspace(): Promise<
  AsyncDisposable & { path: string; open: () => Promise<Workspace> }
> {
  const repo = await checkout(FILES);
  // From the Debian package busybox-static.
  await copyFile('/bin/busybox', `${repo.path}/tools/shell/busybox`);
  await chmod(`${repo.path}/tools/shell/busybox`, 0o755);
  return {
    path: repo.path,
    open: () => openWorkspace(repo.path, { env: ENV }),
    [Symbol.asyncDispose]: () => repo[Symbol.asyncDispose](),
  };
}

async function options(dir: string): Promise<BuildOptions> {
  return {
    store: await openStore(dir),
    engine: nativeEngine(),
    mirror: () => Promise.reject(new Error('no mirror in this test')),
    reporter: silentReporter,
  };
}

it('pins, builds and reuses packages with the native engine', async () => {
  await using at = await workspace();
  await using one = await temporary();
  await using two = await temporary();
  const tools = await options(one.path);
  const opened = await at.open();
  const { references } = await pinWorkspace(opened, [...opened.packages.values()], tools);
  const target = opened.get('lkt/hello');
  const { packages } = await buildPackages(opened, [target], tools);
  expect(packages.map(({ cached }) => cached)).toEqual([true, true]);
  const digest = packages.at(-1)?.index.digest;
  if (digest === undefined) throw new Error('nothing was built');
  expect(references.get('lkt/hello')).toContain(digest);

  const image = await loadImage(tools.store, digest, { os: 'linux', architecture: 'amd64' });
  expect(image.config.config).toMatchObject({
    Cmd: ['/hello'],
    Labels: { 'org.mobyproject.config': '{"readonly":true}' },
  });
  const tree = await flatten(tools.store, layersOf(image));
  const text = await readFile(tools.store, image.manifest.layers, tree, 'hello', 100);
  expect(text.toString()).toBe('hello world\n');

  // The pins hold in an empty store, where everything is rebuilt.
  const fresh = await buildPackages(opened, [target], await options(two.path));
  expect(fresh.packages.map(({ cached, index }) => [cached, index.digest])).toEqual(
    packages.map(({ index }) => [false, index.digest]),
  );
  await write(at.path, { 'pkg/hello/name': 'moon\n' });
  const changed = await buildPackages(opened, [target], tools);
  expect(changed.packages.map(({ cached }) => cached)).toEqual([true, false]);
});

it('builds the stage that "target" names, and only its dependencies', async () => {
  await using at = await workspace();
  await using dir = await temporary();
  await write(at.path, {
    'pkg/two/build.yml': `${yml('two')}target: ONE\n`,
    'pkg/two/Dockerfile':
      'FROM scratch AS one\nCOPY build.yml /one\nFROM absent/image AS two\nCOPY build.yml /two\n',
  });
  const tools = await options(dir.path);
  const opened = await at.open();
  const { packages } = await buildPackages(opened, [opened.get('lkt/two')], tools);
  const digest = packages[0]?.index.digest;
  if (digest === undefined) throw new Error('nothing was built');
  const image = await loadImage(tools.store, digest, { os: 'linux', architecture: 'amd64' });
  expect([...(await flatten(tools.store, layersOf(image))).children('')]).toEqual(['one']);

  await write(at.path, { 'pkg/two/build.yml': `${yml('two')}target: three\n` });
  const again = await at.open();
  await expect(buildPackages(again, [again.get('lkt/two')], tools)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'pkg/two/build.yml:4:9: target: Dockerfile has no stage "three"',
    fix: 'use one of: one, two',
  });
});

const cached = (command: string): string =>
  `FROM scratch\nCOPY busybox /bin/\nSHELL ["/bin/busybox", "sh", "-c"]\nRUN --mount=type=cache,id=x,target=/c ${command}\n`;

it('shares cache mounts with packages of this workspace, and not with those of a collection', async () => {
  await using theirs = await checkout({
    'pkg/plant/build.yml': yml('plant'),
    'pkg/plant/Dockerfile': cached('echo 1 >/c/planted'),
  });
  await using mine = await checkout({
    'lkt.yml': `collections: { they: { source: "path:../${basename(theirs.path)}" } }\n`,
    'pkg/keep/build.yml': yml('keep'),
    'pkg/keep/Dockerfile': cached('echo 1 >/c/kept'),
    'pkg/list/build.yml': yml('list'),
    'pkg/list/Dockerfile': cached('busybox ls /c >/names'),
  });
  const dirs = ['pkg/keep', 'pkg/list'].map((dir) => `${mine.path}/${dir}`);
  for (const dir of [`${theirs.path}/pkg/plant`, ...dirs])
    await copyFile('/bin/busybox', `${dir}/busybox`);
  await using dir = await temporary();
  const tools = await options(dir.path);
  const opened = await openWorkspace(mine.path, { env: ENV });
  for (const name of ['they/plant', 'lkt/keep'])
    await buildPackages(opened, [opened.get(name)], tools);
  const { packages } = await buildPackages(opened, [opened.get('lkt/list')], tools);
  const digest = packages[0]?.index.digest;
  if (digest === undefined) throw new Error('nothing was built');
  const image = await loadImage(tools.store, digest, { os: 'linux', architecture: 'amd64' });
  const { layers } = image.manifest;
  const names = await readFile(
    tools.store,
    layers,
    await flatten(tools.store, layersOf(image)),
    'names',
    99,
  );
  expect(names.toString()).toBe('kept\n');
});
