import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import type { ContextFile } from '@lkt/builder';
import { expect, it } from 'vitest';
import { readSources } from '../src/sources/sources.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { checkout, commit, ENV, git, temporary, write } from '../../git/test/checkout.ts';

async function context(root: string, dir = 'pkg/a'): Promise<readonly ContextFile[]> {
  const workspace = await openWorkspace(root, { env: ENV });
  const item = await workspace.packageAt(`${root}/${dir}`);
  return (await readSources(workspace, workspace.packages.values())).context(item);
}

const paths = (files: readonly ContextFile[]): string[] => files.map(({ path }) => path);

const FILES = {
  '.gitignore': '*.ignored\n',
  'pkg/a/build.yml':
    'image: a\nextra-sources: ["../../common:/lib/common", "../../common/sub:/"]\n',
  'pkg/a/Dockerfile': 'FROM scratch\n',
  'pkg/a/z/f': 'f\n',
  'common/lib.c': 'int x;\n',
  'common/sub/s.c': 'int s;\n',
};

it('has the tracked and trackable files, and the extra sources at their destinations', async () => {
  await using repo = await checkout(FILES);
  const dir = `${repo.path}/pkg/a`;
  await write(dir, { new: 'n', 'x.ignored': 'i', 'forced.ignored': 'f', 'ünï/ b': 'u' });
  git(repo.path, 'add', '--force', 'pkg/a/forced.ignored');
  await symlink('/etc/passwd', `${dir}/link`);
  await symlink('/etc', `${dir}/dirlink`);
  await rm(`${dir}/z/f`);
  const files = await context(repo.path);
  expect(paths(files)).toEqual([
    'Dockerfile',
    'build.yml',
    'dirlink',
    'forced.ignored',
    'lib/common/lib.c',
    'lib/common/sub/s.c',
    'link',
    'new',
    's.c',
    Buffer.from('ünï/ b').toString('latin1'),
  ]);
  expect(files.find(({ path }) => path === 'lib/common/lib.c')?.source).toBe(
    `${repo.path}/common/lib.c`,
  );
  expect(files.at(-1)?.source).toBe(`${dir}/ünï/ b`);
});

it('has all files outside git', async () => {
  await using dir = await temporary();
  await write(dir.path, { ...FILES, 'pkg/a/x.ignored': 'i', 'pkg/a/.git': 'gitdir: nowhere' });
  await rm(`${dir.path}/pkg/a/.git`);
  expect(paths(await context(dir.path))).toContain('x.ignored');
});

it('omits files that .dockerignore names', async () => {
  await using repo = await checkout({
    ...FILES,
    'pkg/a/.dockerignore': '# x\n**/*.c\n!s.c\n.dockerignore\n',
  });
  expect(paths(await context(repo.path))).toEqual(['Dockerfile', 'build.yml', 's.c', 'z/f']);
  await write(repo.path, { 'pkg/a/Dockerfile.dockerignore': 'z\n' });
  expect(paths(await context(repo.path))).toContain('lib/common/lib.c');
  expect(paths(await context(repo.path))).not.toContain('z/f');
});

it('does not follow a directory that became a symlink', async () => {
  await using repo = await checkout(FILES);
  await using other = await temporary();
  await write(other.path, { f: 'secret' });
  await rm(`${repo.path}/pkg/a/z`, { recursive: true });
  await symlink(other.path, `${repo.path}/pkg/a/z`);
  expect(paths(await context(repo.path))).toContain('z');
  expect(paths(await context(repo.path))).not.toContain('z/f');
});

it('rejects files outside the hash: submodules, embedded repositories, sparse checkouts', async () => {
  await using inner = await checkout({ x: 'x' });
  await using repo = await checkout(FILES);
  git(repo.path, 'clone', '--quiet', inner.path, 'pkg/a/embedded');
  await expect(context(repo.path)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: /pkg\/a\/embedded is a git repository/,
  });
  git(repo.path, 'add', 'pkg/a/embedded');
  commit(repo.path);
  await expect(context(repo.path)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: /pkg\/a\/embedded is a git repository/,
  });
  await rm(`${repo.path}/pkg/a/embedded`, { recursive: true });
  commit(repo.path);
  git(repo.path, 'update-index', '--skip-worktree', 'pkg/a/z/f');
  await expect(context(repo.path)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    fix: 'run: git sparse-checkout add pkg/a',
  });
});

it.each([
  ['../nope', 'no such directory'],
  ['./build.yml', 'not a directory'],
])('rejects an invalid extra source at its position: %s', async (source, problem) => {
  await using repo = await checkout({
    ...FILES,
    'pkg/a/build.yml': `image: a\nextra-sources:\n  - ${source}:/x\n`,
  });
  await expect(context(repo.path)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: new RegExp(`build\\.yml:3:5: .*${problem}`),
  });
});

it('ignores modes and empty directories', async () => {
  await using repo = await checkout(FILES);
  const before = await context(repo.path);
  await chmod(`${repo.path}/pkg/a/z/f`, 0o600);
  await mkdir(`${repo.path}/pkg/a/empty`);
  await writeFile(`${repo.path}/pkg/a/y.ignored`, '');
  expect(await context(repo.path)).toEqual(before);
});
