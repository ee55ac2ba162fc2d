import { expect, it, test } from 'vitest';
import { createGit, gitUri, readOrigin } from '../src/index.ts';
import { checkout, ENV, git, temporary } from './checkout.ts';

const GIT = createGit(ENV);

test.each([
  ['https://example.org/a/b.git', 'git+https://example.org/a/b.git'],
  ['https://user:secret@example.org:8443/a?token=secret', 'git+https://example.org:8443/a'],
  ['git@example.org:a/b.git', 'git+ssh://example.org/a/b.git'],
  ['ssh://git@example.org/a', 'git+ssh://example.org/a'],
])('returns the public form of the remote %s', async (remote, uri) => {
  await using repo = await checkout({ file: 'text' });
  git(repo.path, 'remote', 'add', 'origin', remote);
  expect(await readOrigin(GIT, repo.path)).toEqual({
    uri,
    commit: git(repo.path, 'rev-parse', 'HEAD').trim(),
  });
});

test.each(['/srv/repository', 'file:///srv/repository', '../other', 'ext::sh -c true'])(
  'returns no origin for the remote %s',
  async (remote) => {
    await using repo = await checkout({ file: 'text' });
    git(repo.path, 'remote', 'add', 'origin', remote);
    expect(await readOrigin(GIT, repo.path)).toBeUndefined();
  },
);

it('takes origin of several remotes, and the only one under any name', async () => {
  await using repo = await checkout({ file: 'text' });
  expect(await readOrigin(GIT, repo.path)).toBeUndefined();
  git(repo.path, 'remote', 'add', 'a.b', 'https://example.org/first');
  expect((await readOrigin(GIT, repo.path))?.uri).toBe('git+https://example.org/first');
  git(repo.path, 'remote', 'add', 'second', 'https://example.org/second');
  expect(await readOrigin(GIT, repo.path)).toBeUndefined();
  git(repo.path, 'remote', 'add', 'origin', 'https://example.org/origin');
  expect((await readOrigin(GIT, repo.path))?.uri).toBe('git+https://example.org/origin');
});

it('returns no origin outside git and without a commit', async () => {
  await using dir = await temporary();
  expect(await readOrigin(GIT, dir.path)).toBeUndefined();
  git(dir.path, 'init', '--quiet');
  git(dir.path, 'remote', 'add', 'origin', 'https://example.org/a');
  expect(await readOrigin(GIT, dir.path)).toBeUndefined();
});

test('a remote in the form of ssh becomes a URI', () => {
  expect(gitUri('git@example.org:a/b')).toBe('git+ssh://git@example.org/a/b');
  expect(gitUri('https://example.org/a')).toBe('git+https://example.org/a');
});
