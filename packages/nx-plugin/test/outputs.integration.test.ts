import { execFileSync } from 'node:child_process';
import { appendFile, mkdtempDisposable, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { NxCacheServer } from './nx-cache-server.ts';
import { LKT, TestWorkspace } from './workspace.ts';

vi.setConfig({ testTimeout: 600_000 });

const FILES = {
  'pkg/a/build.yml': 'org: t\nimage: a\n',
  'pkg/a/Dockerfile': 'FROM scratch\nCOPY a /a\n',
  'pkg/a/.dockerignore': 'NOTES\n',
  'pkg/a/a': '1',
  'pkg/b/build.yml': 'org: t\nimage: b\nbuildArgs: ["A=@lkt:pkg:../a"]\n',
  'pkg/b/Dockerfile': 'ARG A\nFROM ${A}\nCOPY b /b\n',
  'pkg/b/b': '1',
  'images/all.yml': 'init:\n  - "@pkg:../pkg/b"\n',
};

interface Built {
  readonly packages: readonly { name: string; digest: string; cached: boolean }[];
}

async function built(workspace: TestWorkspace, ...args: readonly string[]): Promise<Built> {
  const said = await workspace.lkt('pkg', 'build', '--json', '--quiet', ...args);
  return JSON.parse(said) as Built;
}

test('a machine with nothing but the cache of Nx builds nothing, and has the same images', async () => {
  await using cache = await NxCacheServer.start();
  await using first = await TestWorkspace.create(FILES, { lkt: LKT });
  await using second = await first.clone();
  cache.serves(first, 'write');
  cache.serves(second, 'read');
  expect(await first.tasks('run-many', '-t', 'pkg-build')).toEqual([
    'pkg-a:pkg-build run',
    'pkg-b:pkg-build run',
  ]);
  expect(cache.hashes).toHaveLength(2);
  expect(await second.tasks('run-many', '-t', 'pkg-build')).toEqual([
    'pkg-a:pkg-build remote cache',
    'pkg-b:pkg-build remote cache',
  ]);
  const there = await built(first, 'pkg/b');
  // What was restored has come into a store that has never built anything.
  const here = await built(second, 'pkg/b');
  expect(here.packages.map(({ name, cached }) => [name, cached])).toEqual([
    ['t/a', true],
    ['t/b', true],
  ]);
  expect(here.packages.map(({ digest }) => digest)).toEqual(
    there.packages.map(({ digest }) => digest),
  );
  // And what is restored is enough without a store.
  await rm(second.store, { recursive: true });
  const said = await second.lkt('build', '--layouts', '.nx/lkt', '--format=tar', 'images/all.yml');
  expect(said).toMatch(/t\/b: cached/);
  expect(said).not.toMatch(/COPY/);
});

test('what a remote cache has is refused when it is not what it says, and built at once', async () => {
  await using honest = await NxCacheServer.start();
  await using poisoned = await NxCacheServer.start();
  await using first = await TestWorkspace.create(FILES, { lkt: LKT });
  await using second = await first.clone();
  honest.serves(first, 'write');
  poisoned.serves(second, 'read');
  await first.nx('run-many', '-t', 'pkg-build');
  const there = await built(first, 'pkg/b');
  for (const hash of honest.hashes)
    await poisoned.put(hash, await withOtherBlobs(await honest.get(hash)));
  const said = await second.nx('run-many', '-t', 'pkg-build', '--output-style=static');
  expect(said).toMatch(/nx run pkg-a:pkg-build\s+\[remote cache\]/);
  for (const name of ['t/a', 't/b'])
    expect(said).toMatch(
      new RegExp(`warning: the layout of ${name} is rejected, so it is built here: blob sha256:`),
    );
  // The layouts are what they should be, for who takes them from here.
  await rm(second.store, { recursive: true });
  const here = await built(second, '--layouts', '.nx/lkt', 'pkg/b');
  expect(here.packages).toEqual(there.packages.map((one) => ({ ...one, cached: true })));
  // What was looked at once is not looked at again.
  expect(await second.nx('run-many', '-t', 'pkg-build')).not.toContain('refused');
});

/** An output of Nx, a gzipped tar, in which no blob but manifests is what its name says. */
async function withOtherBlobs(output: Buffer): Promise<Buffer> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-poison-'));
  const tar = (...args: readonly string[]): Buffer =>
    execFileSync('tar', [...args, '--gzip', '--directory', dir.path], { input: output });
  tar('--extract');
  let changed = 0;
  for (const file of await readdir(dir.path, { recursive: true })) {
    if (!/blobs\/sha256\/./.test(file)) continue;
    const path = join(dir.path, file);
    if ((await readFile(path, 'utf8')).startsWith('{')) continue;
    await appendFile(path, 'x');
    changed += 1;
  }
  expect(changed).toBeGreaterThan(0);
  const names = await readdir(dir.path);
  return execFileSync('tar', ['--create', '--gzip', '--directory', dir.path, ...names]);
}

test('what the cache of Nx has is refused when it is not what it says, and built again', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  await workspace.nx('run-many', '-t', 'pkg-build');
  const [a] = (await built(workspace, 'pkg/a')).packages;
  const cache = join(workspace.dir, '.nx/cache');
  for (const file of await readdir(cache, { recursive: true }))
    if (/t\+a\/blobs\/sha256\/./.test(file)) await appendFile(join(cache, file), 'x');
  // As on a machine that has built nothing.
  await rm(workspace.store, { recursive: true });
  await rm(join(workspace.dir, '.nx/lkt'), { recursive: true });
  workspace.write({ 'pkg/b/b': '2' });
  const said = await workspace.nx('run', 'pkg-b:pkg-build', '--output-style=stream');
  expect(said).toMatch(/nx run pkg-a:pkg-build\s+\[local cache\]/);
  expect(said).toMatch(
    /warning: the layout of t\/a is rejected, so it is built here: blob sha256:/,
  );
  const [again] = (await built(workspace, 'pkg/a')).packages;
  expect(again).toEqual({ ...a, cached: true });
});

test('what Nx restores leaves the store whole, and what comes out as before ends the work', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  const build = async (): Promise<readonly string[]> =>
    workspace.tasks('run-many', '-t', 'pkg-build');
  const [a] = (await built(workspace, 'pkg/a')).packages;
  workspace.write({ 'pkg/b/build.yml': 'org: t\nimage: b\n' });
  workspace.write({ 'pkg/b/Dockerfile': `FROM t/a@${a?.digest}\nCOPY b /b\n` });
  expect(await build()).toEqual(['pkg-a:pkg-build run', 'pkg-b:pkg-build run']);
  // Not in the build context, but in the source hash, and so in the tag.
  workspace.write({ 'pkg/a/NOTES': 'of no consequence', 'README.md': 'of even less' });
  expect(await build()).toEqual(['pkg-a:pkg-build run', 'pkg-b:pkg-build local cache']);
  workspace.write({ 'README.md': 'another' });
  expect(await build()).toEqual(['pkg-a:pkg-build local cache', 'pkg-b:pkg-build local cache']);
  // The layout is hard links into the store, and Nx puts other files in its place.
  workspace.write({ 'pkg/b/b': 'other' });
  await build();
  workspace.write({ 'pkg/b/b': FILES['pkg/b/b'] });
  expect(await build()).toContain('pkg-b:pkg-build local cache');
  expect(await workspace.lkt('cache', 'verify')).toContain(' 0 removed');
});
