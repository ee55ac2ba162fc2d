import { execFileSync } from 'node:child_process';
import { hash as digest } from 'node:crypto';
import { chmod, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { checkout, ENV, git, write } from '../../git/test/checkout.ts';
import { createGit } from '@lkt/git';
import { readRecipe } from '../src/build/recipe.ts';
import { sourceHashes } from '../src/sources/source-hash.ts';
import { readSources } from '../src/sources/sources.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';

const FILES = {
  'pkg/a/build.yml': 'image: a\n',
  'pkg/a/Dockerfile': 'FROM scratch\nCOPY data /\n',
  'pkg/a/data': 'good',
};

/** A change of sources, by which the author of a checkout wants to keep the hash of the commit. */
type Attack = (top: string) => Promise<unknown>;

const ATTACKS: readonly (readonly [string, Attack])[] = [
  ['false tree ids in the index', async (top) => (await stage(top), forgeTrees(top))],
  ['an object under a false id', async (top) => (await stage(top), forgeObject(top))],
  [
    'a replacement of the tree in HEAD',
    async (top) => {
      await stage(top);
      const evil = git(top, 'write-tree');
      git(
        top,
        'replace',
        git(top, 'rev-parse', 'HEAD:pkg/a'),
        git(top, 'rev-parse', `${evil}:pkg/a`),
      );
    },
  ],
  [
    'a content of the same size and time',
    async (top) => {
      const file = join(top, 'pkg/a/data');
      await utimes(file, 1e9, 1e9);
      git(top, 'update-index', '--refresh');
      // Git compares whole seconds.
      await setTimeout(1100);
      await write(top, { 'pkg/a/data': 'evil' });
      await utimes(file, 1e9, 1e9);
      git(top, 'config', 'core.trustCtime', 'false');
      git(top, 'config', 'core.checkStat', 'minimal');
    },
  ],
  [
    'a mode that git ignores',
    async (top) => {
      git(top, 'config', 'core.fileMode', 'false');
      await chmod(join(top, 'pkg/a/data'), 0o755);
    },
  ],
];

describe.each(ATTACKS)('the source hash changes in spite of %s', (_, attack) => {
  // Only git reads a configuration that includes another.
  it.each([false, true])('when git reads the checkout: %s', async (asksGit) => {
    await using repo = await checkout(FILES);
    const { path: top } = repo;
    const tree = git(top, 'rev-parse', 'HEAD:pkg/a');
    await attack(top);
    if (asksGit) git(top, 'config', 'include.path', 'none');
    const found = await hashOf(top);
    expect(found.hash).toMatch(new RegExp(`^${tree}-dirty-`));
    expect(found.dirty).toBe(true);
    expect(found.committed).not.toBe(tree);
  });
});

it('notices that a file took the place of a link', async () => {
  await using repo = await checkout(FILES);
  const { path: top } = repo;
  await symlink('data', join(top, 'pkg/a/link'));
  git(top, 'add', '--all');
  git(top, 'commit', '--quiet', '--message', 'link');
  git(top, 'config', 'core.symlinks', 'false');
  git(top, 'config', 'include.path', 'none');
  await rm(join(top, 'pkg/a/link'));
  await write(top, { 'pkg/a/link': 'data' });
  expect((await hashOf(top)).dirty).toBe(true);
});

it('rejects files whose changes git does not notice', async () => {
  await using repo = await checkout(FILES);
  git(repo.path, 'update-index', '--assume-unchanged', 'pkg/a/data');
  await write(repo.path, { 'pkg/a/data': 'evil' });
  await expect(hashOf(repo.path)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: '"pkg/a/data" is marked assume-unchanged, so git does not notice its changes',
    fix: 'run: git update-index --no-assume-unchanged "pkg/a/data"',
  });
});

it.each([
  '.git/HEAD',
  '.git/config',
  '.git/index',
  '.git/info/attributes',
  '.git/info/exclude',
  '.git/packed-refs',
  '.git/refs/heads/main',
  'pkg/a/.gitattributes',
  'pkg/a/.gitignore',
  'pkg/a/data',
])('does not wait for a named pipe in the place of %s', async (name) => {
  await using repo = await checkout(FILES);
  const path = join(repo.path, name);
  await write(repo.path, { 'pkg/a/new': '' });
  await rm(path, { force: true });
  execFileSync('mkfifo', [path]);
  await expect(readPackage(repo.path)).rejects.toMatchObject({
    code: 'IO_FAILED',
    message: `${path} is a named pipe`,
  });
});

it('rejects a path in the index that no work tree can have', async () => {
  await using repo = await checkout(FILES);
  const path = `pkg/a/${'a/'.repeat(30_000)}f`;
  const blob = git(repo.path, 'rev-parse', 'HEAD:pkg/a/data');
  const run = (words: readonly string[], input: string): unknown =>
    execFileSync('git', ['-C', repo.path, 'update-index', ...words], { env: ENV, input });
  run(['--index-info'], `100644 ${blob}\t${path}\n`);
  run(['--skip-worktree', '--stdin'], `${path}\n`);
  await expect(hashOf(repo.path)).rejects.toMatchObject({
    code: 'GIT_FAILED',
    message: expect.stringMatching(/^git has a path with 30000 directories: a\/a\/a/) as string,
  });
});

const OUT = 'is outside the package: it leads to';
const IGNORED = 'so the source hash does not cover it';

// The action cache would return the image of the former content, too.
it.each<[string, string, (dir: string) => Promise<unknown>]>([
  ['a Dockerfile elsewhere', OUT, async (dir) => moved(dir, 'Dockerfile')],
  ['a build.yml elsewhere', OUT, async (dir) => moved(dir, 'build.yml')],
  ['a .dockerignore elsewhere', OUT, async (dir) => moved(dir, '.dockerignore')],
  ['an ignored Dockerfile', IGNORED, async (dir) => ignored(dir, 'Dockerfile')],
  ['an ignored build.yml', IGNORED, async (dir) => ignored(dir, 'build.yml')],
  [
    'an ignored list of images',
    IGNORED,
    async (dir) => {
      const depends = 'depends: { docker-images: { target: x.tar, from-file: list } }\n';
      await write(dir, { list: '', 'build.yml': `image: a\n${depends}` });
      await ignored(dir, 'list');
    },
  ],
  [
    'an ignored lock file',
    IGNORED,
    async (dir) => {
      const debian = 'arches: [amd64]\ndebian: { suite: trixie, packages: [hello] }\n';
      await write(dir, { 'debian.lock': '{}', 'build.yml': `image: a\n${debian}` });
      await ignored(dir, 'debian.lock');
    },
  ],
])('rejects a package whose hash does not cover %s', async (_, message, change) => {
  await using repo = await checkout(FILES);
  await change(join(repo.path, 'pkg/a'));
  const error: unknown = await readPackage(repo.path).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(message) as string,
  });
  // An error in a file elsewhere would show its text.
  expect((error as { detail?: string }).detail).toBe(undefined);
});

it.each([
  ['in the package', 'sub/Dockerfile', ''],
  ['in an extra source', '../other/Dockerfile', 'extra-sources: [../other:other]\n'],
])('accepts a Dockerfile that is a link to a file %s', async (_, target, yml) => {
  await using repo = await checkout(FILES);
  const dir = join(repo.path, 'pkg/a');
  await rm(join(dir, 'Dockerfile'));
  await symlink(target, join(dir, 'Dockerfile'));
  await write(dir, { [target]: FILES['pkg/a/Dockerfile'], 'build.yml': `image: a\n${yml}` });
  await expect(readPackage(repo.path)).resolves.toBeDefined();
});

/** Moves a file of a package elsewhere, and leaves a link. */
async function moved(dir: string, name: string): Promise<void> {
  await write(dir, { [`../other/${name}`]: 'a secret of the machine\n' });
  await rm(join(dir, name), { force: true });
  await symlink(`../other/${name}`, join(dir, name));
}

async function ignored(dir: string, name: string): Promise<void> {
  git(dir, 'rm', '--quiet', '--cached', '--ignore-unmatch', name);
  await write(dir, { '.gitignore': `${name}\n` });
}

async function readPackage(top: string): Promise<unknown> {
  const workspace = await openWorkspace(top, { env: ENV });
  const item = await workspace.packageAt(join(top, 'pkg/a'));
  const sources = await readSources(workspace, [item]);
  return readRecipe(workspace, item, [{ os: 'linux', architecture: 'amd64' }], (one) =>
    sources.hash(one),
  ).then(() => sources.hash(item));
}

async function hashOf(
  top: string,
): Promise<{ hash: string; committed: string | undefined; dirty: boolean }> {
  const subject = { dir: join(top, 'pkg/a'), extraSources: [] };
  const [found] = await sourceHashes(createGit(ENV), [subject]);
  if (found === undefined) throw new Error('there is no hash');
  return found;
}

async function stage(top: string): Promise<void> {
  await write(top, { 'pkg/a/data': 'evil' });
  git(top, 'add', '--all');
}

/** Gives the directories of the index the tree ids of HEAD. */
async function forgeTrees(top: string): Promise<void> {
  const file = join(top, '.git/index');
  const bytes = await readFile(file);
  let end = 12;
  for (let left = bytes.readUInt32BE(8); left > 0; left -= 1)
    end += (bytes.indexOf(0, end + 62) - end + 8) & ~7;
  const ids = git(top, 'rev-parse', 'HEAD^{tree}', 'HEAD:pkg', 'HEAD:pkg/a').split('\n');
  const trees = ['', 'pkg', 'a'].flatMap((name, at) => [
    Buffer.from(`${name}\0${Object.keys(FILES).length} ${name === 'a' ? 0 : 1}\n`),
    Buffer.from(ids[at] ?? '', 'hex'),
  ]);
  const body = Buffer.concat(trees);
  const head = Buffer.from('TREE\0\0\0\0');
  head.writeUInt32BE(body.length, 4);
  const forged = Buffer.concat([bytes.subarray(0, end), head, body]);
  await writeFile(file, Buffer.concat([forged, digest('sha1', forged, 'buffer')]));
}

/** Stores the staged tree of the package under the id of that in HEAD. */
async function forgeObject(top: string): Promise<void> {
  const evil = git(top, 'rev-parse', `${git(top, 'write-tree')}:pkg/a`);
  const id = git(top, 'rev-parse', 'HEAD:pkg/a');
  const path = (name: string): string => join(top, '.git/objects', name.slice(0, 2), name.slice(2));
  const content = await readFile(path(evil));
  await rm(path(id));
  await writeFile(path(id), content);
}
