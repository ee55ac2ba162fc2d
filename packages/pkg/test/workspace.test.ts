import { symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseReference } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { checkout, ENV, git, temporary, write } from '../../git/test/checkout.ts';

const FILES = {
  'pkg/a/build.yml': 'org: lkt\nimage: a\n',
  'pkg/b/build.yml': 'org: lkt\nimage: b\n',
  'pkg/notes.txt': 'x',
  'pkg/empty/Dockerfile': 'FROM scratch\n',
  'tools/go/build.yml': 'org: lkt\nimage: go\n',
  'kernel/build.yml': 'org: lkt\nimage: kernel\n',
  'kernel/debian/build.yml': 'org: lkt\nimage: kernel-debian\n',
  'test/t/build.yml': 'org: lkt\nimage: t\n',
};

it('finds the packages from anywhere in the work tree', async () => {
  await using repo = await checkout(FILES);
  for (const from of ['', '/pkg/a', '/test']) {
    const workspace = await openWorkspace(repo.path + from, { env: ENV });
    expect(workspace.root).toBe(repo.path);
    expect([...workspace.packages.keys()]).toEqual([
      'lkt/a',
      'lkt/b',
      'lkt/go',
      'lkt/kernel',
      'lkt/kernel-debian',
      'lkt/t',
    ]);
  }
});

it('selects one of several packages of one name by its directory', async () => {
  await using repo = await checkout({
    ...FILES,
    'cases/1/build.yml': 'org: lkt\nimage: case\n',
    'cases/2/build.yml': 'org: lkt\nimage: case\n',
    'cases/3/build.yml': 'org: lkt\nimage: case\n',
    'cases/4/build.yml': 'org: lkt\nimage: a\n',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const error = expect.objectContaining({
    message: 'cases/1/build.yml and cases/2/build.yml both describe the package lkt/case',
  });
  expect(() => workspace.find(parseReference('lkt/case'))).toThrow(error);
  expect(() => workspace.all()).toThrow(error);
  expect(workspace.problems).toEqual([]);
  expect(workspace.get('lkt/a').dir).toBe(join(repo.path, 'pkg/a'));
  const third = await workspace.packageAt('cases/3');
  expect(workspace.get('lkt/case')).toBe(third);
});

it('selects one of several packages of one name by its directory beside collections', async () => {
  await using repo = await checkout({
    'lkt.yml': 'collections: {they: {source: "path:vendor/they"}}\n',
    'vendor/they/pkg/a/build.yml': 'org: they\nimage: a\n',
    'cases/1/build.yml': 'org: lkt\nimage: case\n',
    'cases/2/build.yml': 'org: lkt\nimage: case\n',
    'cases/wrong/build.yml': 'org: lkt\nimage: case\nwrong: 1\n',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const second = await workspace.packageAt('cases/2');
  expect(second.dir).toBe(join(repo.path, 'cases/2'));
  await expect(workspace.packageAt('cases/wrong')).rejects.toThrow('unknown key "wrong"');
});

it('rejects two packages of one name in any directories, if there is an lkt.yml', async () => {
  await using repo = await checkout({
    ...FILES,
    'lkt.yml': 'org: lkt\n',
    'services/a/build.yml': 'image: a\n',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const message = 'pkg/a/build.yml and services/a/build.yml both describe the package lkt/a';
  const error = expect.objectContaining({ message, fix: expect.any(String) });
  expect(() => workspace.find(parseReference('lkt/a'))).toThrow(error);
  expect(() => workspace.all()).toThrow(error);
  expect(workspace.problems).toEqual([error]);
});

it('leaves out packages deeper below pkg, tools and kernel unless they are named', async () => {
  await using repo = await checkout({
    ...FILES,
    'kernel/flavours/debug/build.yml': 'org: lkt\nimage: debug\n',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  expect(workspace.get('lkt/debug').file.path).toBe('kernel/flavours/debug/build.yml');
  expect(workspace.all().map(({ name }) => name)).toContain('lkt/t');
  expect(workspace.all().map(({ name }) => name)).not.toContain('lkt/debug');
});

it.each(['2', '4'])(
  'finds packages anywhere that git tracks, with an index of version %s',
  async (version) => {
    await using repo = await checkout({
      'build.yml': 'org: acme\nimage: top\n',
      'services/ü web/build.yml': 'org: acme\nimage: web\n',
      'a/b/c/d/build.yml': 'org: acme\nimage: deep\nnetwork: maybe\n',
      // Files of other tools.
      '.github/workflows/build.yml': 'image: x\n',
      'services/.ci/build.yml': 'image: x\n',
      'ci/build.yml': 'stages: [one]\njobs:\n  image: x\n',
      'ci/other-build.yml': 'image: x\n',
    });
    git(repo.path, 'update-index', '--index-version', version);
    await write(repo.path, {
      'services/new/build.yml': 'org: acme\nimage: untracked\n',
      'pkg/new/build.yml': 'org: acme\nimage: new\n',
    });
    git(repo.path, 'rm', '--quiet', '--cached', 'build.yml');
    const workspace = await openWorkspace(join(repo.path, 'ci'), { env: ENV });
    expect([...workspace.packages.keys()]).toEqual(['acme/new', 'acme/web']);
    expect(workspace.problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('a/b/c/d/build.yml:3:10'),
    ]);
    git(repo.path, 'add', 'services/new/build.yml', 'build.yml');
    const names = [...(await openWorkspace(repo.path, { env: ENV })).packages.keys()];
    expect(names).toEqual(['acme/new', 'acme/top', 'acme/untracked', 'acme/web']);
  },
);

it('finds the packages outside git', async () => {
  await using dir = await temporary();
  await write(dir.path, FILES);
  const workspace = await openWorkspace(`${dir.path}/pkg/a`, { env: ENV });
  expect(workspace.root).toBe(dir.path);
  expect(workspace.packages.size).toBe(5);
});

it('does not count packages of a collection in the same repository as its own', async () => {
  await using repo = await checkout({
    'lkt.yml': 'org: acme\ncollections: {they: {source: "path:vendor/they"}}\n',
    'pkg/mine/build.yml': 'image: mine\n',
    'vendor/they/pkg/a/build.yml': 'org: they\nimage: a\n',
    'vendor/they/pkg/b/build.yml': 'image: b\n',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  expect(workspace.problems).toEqual([]);
  expect([...workspace.packages.keys()]).toEqual(['acme/mine', 'they/a', 'they/b']);
  expect(workspace.all().map(({ name }) => name)).toEqual(['acme/mine']);
});

describe('packageAt', () => {
  it('resolves a directory relative to the start, through symlinks, and adds it to the workspace', async () => {
    await using repo = await checkout(FILES);
    await symlink('a', `${repo.path}/pkg/link`);
    const workspace = await openWorkspace(`${repo.path}/pkg`, { env: ENV });
    const a = workspace.get('lkt/a');
    expect(await workspace.packageAt('a')).toBe(a);
    expect(await workspace.packageAt('link/')).toBe(a);
    expect(await workspace.packageAt(`${repo.path}/pkg/a`)).toBe(a);
    const [added, same] = await Promise.all([
      workspace.packageAt('../test/t'),
      workspace.packageAt('../test/t'),
    ]);
    expect(same).toBe(added);
    expect(added.file.path).toBe('../test/t/build.yml');
    expect(workspace.get('lkt/t')).toBe(added);
    expect(await workspace.packageAt('../test/t')).toBe(added);
  });

  it('rejects a package whose organization another workspace defines', async () => {
    await using repo = await checkout(FILES);
    await using other = await checkout({
      'lkt.yml': 'org: acme\n',
      'pkg/x/build.yml': 'image: x\n',
      'pkg/y/build.yml': 'image: y\norg: acme\n',
      'sub mod/lkt.yml': 'org: acme\n',
      'sub mod/z/build.yml': 'image: z\n',
    });
    const workspace = await openWorkspace(repo.path, { env: ENV });
    const there = relative(repo.path, other.path);
    await expect(workspace.packageAt(join(other.path, 'pkg/x'))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `${there}/pkg/x is in another workspace, ${there}`,
      fix: `run the command there: cd ${there}`,
    });
    await expect(workspace.packageAt(join(other.path, 'sub mod/z'))).rejects.toMatchObject({
      fix: `run the command there: cd '${there}/sub mod'`,
    });
    const { name } = await workspace.packageAt(join(other.path, 'pkg/y'));
    expect(name).toBe('acme/y');
  });

  it('reports a missing directory or build.yml', async () => {
    await using repo = await checkout(FILES);
    const workspace = await openWorkspace(repo.path, { env: ENV });
    await expect(workspace.packageAt('pkg/empty')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'pkg/empty has no build.yml',
    });
    await expect(workspace.packageAt('pkg/nope')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'there is no directory pkg/nope',
    });
  });
});

it('finds the package that a reference names', async () => {
  await using repo = await checkout(FILES);
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const a = workspace.get('lkt/a');
  expect(workspace.find(parseReference('lkt/a:1'))).toBe(a);
  expect(workspace.find(parseReference(`docker.io/lkt/a@sha256:${'0'.repeat(64)}`))).toBe(a);
  expect(workspace.find(parseReference('registry.example/lkt/a:1'))).toBeUndefined();
  expect(() => workspace.get('lkt/gp')).toThrow(
    expect.objectContaining({ code: 'NOT_FOUND', fix: 'did you mean lkt/go?' }),
  );
});

describe('an error of a package', () => {
  const TWICE = 'pkg/a/build.yml and tools/a/build.yml both describe the package lkt/a';

  it('is thrown for each use of the package: duplicate name', async () => {
    await using repo = await checkout({
      ...FILES,
      'tools/a/build.yml': 'org: docker.io/lkt\nimage: a\n',
    });
    const workspace = await openWorkspace(repo.path, { env: ENV });
    const error = expect.objectContaining({ code: 'CONFIG_INVALID', message: TWICE });
    expect(() => workspace.find(parseReference('lkt/a:1'))).toThrow(error);
    expect(() => workspace.get('lkt/a')).toThrow(error);
    expect(() => workspace.all()).toThrow(error);
    await expect(workspace.packageAt('pkg/a')).rejects.toMatchObject({ message: TWICE });
    await expect(workspace.packageAt('tools/a')).rejects.toMatchObject({ message: TWICE });
    expect((await workspace.packageAt('pkg/b')).name).toBe('lkt/b');
    expect(workspace.find(parseReference('registry.example/lkt/a:1'))).toBeUndefined();
  });

  it.each([
    ['a wrong value', 'org: lkt\nimage: a\nnetwork: maybe\n', '3:10'],
    ['invalid YAML', 'org: lkt\nimage: a\n- x\n', '3:1'],
    ['unknown keys', 'what: is this\n', '1:1'],
  ])('is thrown for each use of the package: %s', async (_, text, at) => {
    await using repo = await checkout({ ...FILES, 'pkg/a/build.yml': text });
    const workspace = await openWorkspace(repo.path, { env: ENV });
    const message = expect.stringContaining(`pkg/a/build.yml:${at}`);
    const error = expect.objectContaining({ code: 'CONFIG_INVALID', message });
    expect(workspace.problems).toEqual([error]);
    expect(() => workspace.find(parseReference('lkt/a:1'))).toThrow(error);
    expect(() => workspace.all()).toThrow(error);
    await expect(workspace.packageAt('pkg/a')).rejects.toMatchObject({ message });
    expect((await workspace.packageAt('pkg/b')).name).toBe('lkt/b');
    expect(workspace.find(parseReference('lkt/b:1'))?.dir).toBe(join(repo.path, 'pkg/b'));
  });
});
