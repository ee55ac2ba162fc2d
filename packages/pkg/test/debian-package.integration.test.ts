import { readFile, stat } from 'node:fs/promises';
import { digestOf, silentReporter } from '@lkt/core';
import {
  flatten,
  layersOf,
  loadImage,
  openStore,
  readFile as readImageFile,
  type Store,
} from '@lkt/oci';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildPackages } from '../src/build/build.ts';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { lockPackage, type LockReport } from '../src/debian/lock.ts';
import { updateLocks } from '../src/debian/update-locks.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { checkout, ENV, temporary, write } from '../../git/test/checkout.ts';
import { type DebianArchive, debianArchive } from './debian-archive.ts';
import { PlainEngine } from './plain-engine.ts';

let archive: DebianArchive;

beforeAll(async () => {
  archive = await debianArchive();
});

afterAll(() => archive[Symbol.asyncDispose]());

const FILES = {
  'tools/base/build.yml': `org: lkt
image: base
arches: [amd64]
config: { pid: host }
debian:
  suite: trixie
  packages: [app]
  links: { /usr/bin/app: ../share/app/version }
`,
  'tools/docker/build.yml': 'org: lkt\nimage: docker\n',
  'tools/docker/Dockerfile': 'FROM scratch\n',
};

async function lock(
  path: string,
  store: Store,
  dir = 'tools/base',
): Promise<readonly LockReport[]> {
  const workspace = await openWorkspace(path, { env: ENV });
  return lockPackage(workspace, await workspace.packageAt(dir), {
    store,
    mirror: async () => archive.mirror,
    reporter: silentReporter,
    keyrings: [archive.keyring],
  });
}

async function build(
  path: string,
  store: Store,
  mirror = async () => archive.mirror,
): Promise<BuiltPackage> {
  const workspace = await openWorkspace(path, { env: ENV });
  const engine = new PlainEngine();
  const target = workspace.get('lkt/base');
  const { packages } = await buildPackages(workspace, [target], {
    store,
    engine,
    mirror,
    reporter: silentReporter,
  });
  const [built] = packages;
  if (built === undefined) throw new Error('nothing was built');
  return built;
}

function offline(): Promise<never> {
  return Promise.reject(new Error('the network was asked for'));
}

it('locks, builds without Dockerfile, and then works without network', async () => {
  await archive.publish({ app: ['1.0', 'lib'], lib: ['2.0'], other: ['3.0'] });
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  const [first] = await lock(repo.path, store);
  expect(first).toMatchObject({
    file: 'tools/base/debian.lock',
    removed: [],
    changed: [],
    total: 2,
  });
  expect(first?.added.map(({ name, version }) => `${name} ${version}`)).toEqual([
    'app 1.0',
    'lib 2.0',
  ]);

  const built = await build(repo.path, store);
  const image = await loadImage(store, built.index.digest, { os: 'linux', architecture: 'amd64' });
  expect(image.config.config).toEqual({
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    Labels: { 'org.mobyproject.config': '{"pid":"host"}' },
  });
  const tree = await flatten(store, layersOf(image));
  expect(tree.get('usr/bin/app')).toMatchObject({ type: 'symlink', link: '../share/app/version' });
  const text = await readImageFile(
    store,
    image.manifest.layers,
    tree,
    'usr/share/app/version',
    4096,
  );
  expect(text.toString()).toContain('Version: 1.0');

  const again = await build(repo.path, store, offline);
  expect(again).toMatchObject({ cached: true, index: built.index });
});

it('builds the same digest in another store', async () => {
  await archive.publish({ app: ['1.0', 'lib'], lib: ['2.0'] });
  await using repo = await checkout(FILES);
  await using one = await temporary();
  await using two = await temporary();
  const store = await openStore(one.path);
  await lock(repo.path, store);
  expect((await build(repo.path, store)).index).toEqual(
    (await build(repo.path, await openStore(two.path))).index,
  );
});

it('reports the changes of a new lock, and does not write an unchanged one', async () => {
  await archive.publish({ app: ['1.0', 'lib'], lib: ['2.0'] });
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await lock(repo.path, store);
  const path = `${repo.path}/tools/base/debian.lock`;
  const before = await stat(path);
  expect(await lock(repo.path, store)).toMatchObject([
    { added: [], removed: [], changed: [], total: 2 },
  ]);
  expect((await stat(path)).ino).toBe(before.ino);
  await archive.publish({ app: ['1.1', 'new'], new: ['1.0'] });
  const [report] = await lock(repo.path, store);
  expect(report).toMatchObject({
    added: [{ name: 'new' }],
    removed: [{ name: 'lib' }],
    changed: [{ from: { version: '1.0' }, to: { name: 'app', version: '1.1' } }],
  });
  expect(await readFile(path, 'utf8')).toContain('app 1.1 amd64');
  // An invalid lock file is replaced.
  await write(repo.path, { 'tools/base/debian.lock': 'nonsense' });
  expect(await lock(repo.path, store)).toMatchObject([
    { total: 2, added: [{ name: 'app' }, { name: 'new' }] },
  ]);
});

it('accepts no older version than the locked one, unless the request is another', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await archive.publish({ app: ['1.0-1', 'lib'], lib: ['1:1.0-2'] });
  await lock(repo.path, store);
  const file = `${repo.path}/tools/base/debian.lock`;
  const before = await readFile(file, 'utf8');
  // A mirror whose index of the suite is old and signed.
  await archive.publish({ app: ['1.0-2', 'lib'], lib: ['1:1.0-1'] });
  await expect(lock(repo.path, store)).rejects.toMatchObject({
    code: 'OUTDATED',
    message: 'tools/base/debian.lock: the archive has lib 1:1.0-1, older than the locked 1:1.0-2',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const options = {
    store,
    mirror: async () => archive.mirror,
    reporter: silentReporter,
    keyrings: [archive.keyring],
  };
  await expect(updateLocks(workspace, [workspace.get('lkt/base')], options)).rejects.toMatchObject({
    code: 'OUTDATED',
  });
  expect(await readFile(file, 'utf8')).toBe(before);

  const other = FILES['tools/base/build.yml'].replace('[app]', '[app, lib]');
  await write(repo.path, { 'tools/base/build.yml': other });
  expect((await lock(repo.path, store))[0]?.changed).toHaveLength(2);
});

it('names the command that writes a missing or outdated lock', async () => {
  await archive.publish({ app: ['1.0'], other: ['1.0'] });
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await expect(build(repo.path, store)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'tools/base/debian.lock is missing',
    fix: 'run: lkt pkg lock tools/base',
  });
  await lock(repo.path, store);
  const yml = FILES['tools/base/build.yml'].replace('[app]', '[app, other]');
  await write(repo.path, { 'tools/base/build.yml': yml });
  await expect(build(repo.path, store)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    fix: expect.stringContaining('lkt pkg lock tools/base'),
  });
});

it('names a .deb that the mirror no longer has', async () => {
  await archive.publish({ app: ['1.0'] });
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await lock(repo.path, store);
  await archive.publish({ app: ['1.1'] });
  await expect(build(repo.path, store)).rejects.toMatchObject({
    code: 'DEB_GONE',
    message: expect.stringContaining('app'),
  });
});

it('locks and builds each architecture separately, on any machine', async () => {
  await archive.publish({ app: ['1.0'] });
  await using repo = await checkout({
    'tools/base/build.yml': FILES['tools/base/build.yml'].replace('[amd64]', '[amd64, arm64]'),
  });
  await using dir = await temporary();
  const store = await openStore(dir.path);
  expect((await lock(repo.path, store)).map(({ file }) => file)).toEqual([
    'tools/base/debian.amd64.lock',
    'tools/base/debian.arm64.lock',
  ]);
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
  const { packages } = await buildPackages(workspace, [workspace.get('lkt/base')], {
    store,
    engine: new PlainEngine(),
    mirror: async () => archive.mirror,
    reporter: silentReporter,
    platforms,
  });
  for (const platform of platforms) {
    const image = await loadImage(store, packages[0]?.index.digest ?? digestOf(''), platform);
    const { layers } = image.manifest;
    const tree = await flatten(store, layersOf(image));
    const text = await readImageFile(store, layers, tree, 'usr/share/app/version', 4096);
    expect(text.toString()).toContain(`Architecture: ${platform.architecture}\n`);
  }
});

it('rejects locking a package with a Dockerfile', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  await expect(lock(repo.path, await openStore(dir.path), 'tools/docker')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'tools/docker/build.yml has no "debian" block to lock',
  });
});
