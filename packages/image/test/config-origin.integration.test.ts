import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openWorkspace } from '@lkt/pkg';
import { expect, test } from 'vitest';
import { checkout, ENV, git, write } from '../../git/test/checkout.ts';
import { configOrigin } from '../src/config-origin.ts';
import { loadConfig } from '../src/config/load-config.ts';

const GOOD = 'kernel: {}\n';
const FILES = { 'a/x.yml': GOOD, 'other/f': '', '.gitignore': '*.ignored\n' };

async function originOf(top: string, name = 'a/x.yml'): Promise<unknown> {
  const path = join(top, name);
  const text = await readFile(path, 'utf8');
  const loaded = await loadConfig([{ path, text }]);
  return configOrigin(await openWorkspace(top, { env: ENV }), loaded, undefined);
}

/** Only git reads a configuration that includes another. */
async function repository(): Promise<AsyncDisposable & { path: string }> {
  const repo = await checkout(FILES);
  git(repo.path, 'config', 'remote.origin.url', 'https://example.com/x.git');
  git(repo.path, 'config', 'include.path', 'none');
  return repo;
}

test('returns the commit that has a config', async () => {
  await using repo = await repository();
  await write(repo.path, { 'a/new': '', 'other/f': 'changed' });
  expect(await originOf(repo.path)).toEqual({
    uri: 'git+https://example.com/x.git',
    commit: git(repo.path, 'rev-parse', 'HEAD'),
  });
});

test.each<[string, (top: string) => Promise<unknown>, string?]>([
  ['is edited', async (top) => write(top, { 'a/x.yml': 'onboot: []\n' })],
  ['is new', async (top) => write(top, { 'a/y.yml': GOOD }), 'a/y.yml'],
  ['is ignored', async (top) => write(top, { 'a/y.ignored': GOOD }), 'a/y.ignored'],
  [
    'git does not look at',
    async (top) => {
      git(top, 'update-index', '--assume-unchanged', 'a/x.yml');
      await write(top, { 'a/x.yml': 'onboot: []\n' });
    },
  ],
  [
    'is in a submodule',
    async (top) => {
      await using inner = await checkout({ 'deep/y.yml': GOOD });
      git(
        top,
        '-c',
        'protocol.file.allow=always',
        'submodule',
        '--quiet',
        'add',
        inner.path,
        'sub',
      );
    },
    'sub/deep/y.yml',
  ],
  [
    'is in another repository',
    async (top) => {
      await mkdir(join(top, 'a/sub'));
      git(join(top, 'a/sub'), 'init', '--quiet');
      await write(top, { 'a/sub/y.yml': GOOD });
    },
    'a/sub/y.yml',
  ],
  [
    'replaces that of the commit under its id',
    async (top) => {
      await write(top, { 'a/x.yml': 'onboot: []\n' });
      git(top, 'add', '--all');
      const object = (id: string): string => join(top, '.git/objects', id.slice(0, 2), id.slice(2));
      const [was, is] = ['HEAD:a', `${git(top, 'write-tree')}:a`].map((name) =>
        object(git(top, 'rev-parse', name)),
      );
      if (was === undefined || is === undefined) throw new Error('no tree');
      await writeFile(`${was}.new`, await readFile(is));
      await rename(`${was}.new`, was);
    },
  ],
])('returns no commit for a config that %s', async (_, change, name) => {
  await using repo = await repository();
  await change(repo.path);
  expect(await originOf(repo.path, name)).toBe(undefined);
});
