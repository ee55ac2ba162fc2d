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
  const output = await workspace.lkt('pkg', 'build', '--json', '--quiet', ...args);
  return JSON.parse(output) as Built;
}

test('a machine with only Nx’s remote cache builds nothing, and has the same images', async () => {
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
  // The restored layouts were imported into a store that never built anything.
  const here = await built(second, 'pkg/b');
  expect(here.packages.map(({ name, cached }) => [name, cached])).toEqual([
    ['t/a', true],
    ['t/b', true],
  ]);
  expect(here.packages.map(({ digest }) => digest)).toEqual(
    there.packages.map(({ digest }) => digest),
  );
  // The restored layouts suffice without a store.
  await rm(second.store, { recursive: true });
  const output = await second.lkt(
    'build',
    '--layouts',
    '.nx/lkt',
    '--format=tar',
    'images/all.yml',
  );
  expect(output).toMatch(/^cached: \d packages/m);
  expect(output).not.toMatch(/COPY/);
});

test('rejects corrupted entries of a remote cache, and builds the packages at once', async () => {
  await using honest = await NxCacheServer.start();
  await using poisoned = await NxCacheServer.start();
  await using first = await TestWorkspace.create(FILES, { lkt: LKT });
  await using second = await first.clone();
  honest.serves(first, 'write');
  poisoned.serves(second, 'read');
  await first.nx('run-many', '-t', 'pkg-build');
  const there = await built(first, 'pkg/b');
  for (const hash of honest.hashes)
    await poisoned.put(hash, await corruptBlobs(await honest.get(hash)));
  const output = await second.nx('run-many', '-t', 'pkg-build', '--output-style=static');
  expect(output).toMatch(/nx run pkg-a:pkg-build\s+\[remote cache\]/);
  for (const name of ['t/a', 't/b'])
    expect(output).toMatch(
      new RegExp(`warning: the layout of ${name} is rejected, so it is built here: blob sha256:`),
    );
  // The layouts are repaired as well.
  await rm(second.store, { recursive: true });
  const here = await built(second, '--layouts', '.nx/lkt', 'pkg/b');
  expect(here.packages).toEqual(there.packages.map((one) => ({ ...one, cached: true })));
  // Checked layouts are not checked again.
  expect(await second.nx('run-many', '-t', 'pkg-build')).not.toContain('rejected');
});

/**
 * Returns an output of Nx, a gzipped tar, in which the blobs other than manifests are corrupted.
 */
async function corruptBlobs(output: Buffer): Promise<Buffer> {
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

test('rejects corrupted entries of Nx’s cache, and builds the packages again', async () => {
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
  const output = await workspace.nx('run', 'pkg-b:pkg-build', '--output-style=stream');
  expect(output).toMatch(/nx run pkg-a:pkg-build\s+\[local cache\]/);
  expect(output).toMatch(
    /warning: the layout of t\/a is rejected, so it is built here: blob sha256:/,
  );
  const [again] = (await built(workspace, 'pkg/a')).packages;
  expect(again).toEqual({ ...a, cached: true });
});

test('restoring leaves the store intact, and an unchanged output stops further builds', async () => {
  await using workspace = await TestWorkspace.create(FILES, { lkt: LKT });
  const build = async (): Promise<readonly string[]> =>
    workspace.tasks('run-many', '-t', 'pkg-build');
  const [a] = (await built(workspace, 'pkg/a')).packages;
  workspace.write({ 'pkg/b/build.yml': 'org: t\nimage: b\n' });
  workspace.write({ 'pkg/b/Dockerfile': `FROM t/a@${a?.digest}\nCOPY b /b\n` });
  expect(await build()).toEqual(['pkg-a:pkg-build run', 'pkg-b:pkg-build run']);
  // Ignored by the build context, but part of the source hash and so of the tag.
  workspace.write({ 'pkg/a/NOTES': 'of no consequence', 'README.md': 'of even less' });
  expect(await build()).toEqual(['pkg-a:pkg-build run', 'pkg-b:pkg-build local cache']);
  workspace.write({ 'README.md': 'another' });
  expect(await build()).toEqual(['pkg-a:pkg-build local cache', 'pkg-b:pkg-build local cache']);
  // The layout has hard links into the store, and Nx replaces them by files.
  workspace.write({ 'pkg/b/b': 'other' });
  await build();
  workspace.write({ 'pkg/b/b': FILES['pkg/b/b'] });
  expect(await build()).toContain('pkg-b:pkg-build local cache');
  expect(await workspace.lkt('cache', 'verify')).toContain(' 0 removed');
});
