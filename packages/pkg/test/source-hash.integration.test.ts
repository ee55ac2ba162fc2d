import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createGit, type Environment } from '@lkt/git';
import { type HashSubject, type SourceHash, sourceHashes } from '../src/sources/source-hash.ts';
import { checkout, commit, ENV, git, temporary, write, settled } from '../../git/test/checkout.ts';

async function hash(
  dir: string,
  { env = ENV, ...options }: Partial<HashSubject> & { env?: Environment } = {},
): Promise<SourceHash> {
  const subject = { extraSources: [], ...options, dir };
  const [result] = await sourceHashes(createGit(env), [subject]);
  if (result === undefined) throw new Error('no hash');
  return result;
}

const FILES = {
  '.gitignore': '*.ignored\n',
  'pkg/a/build.yml': 'image: a\n',
  'pkg/a/Dockerfile': 'FROM scratch\n',
  'pkg/a/sub/deep/f': 'f\n',
  'pkg/a/sub.txt': 'sorts between sub and sub/\n',
  'pkg/b/build.yml': 'image: b\n',
  'common/lib.c': 'int x;\n',
};

describe('a clean directory', () => {
  it('has the id of its git tree', async () => {
    await using repo = await checkout(FILES);
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    expect(await hash(`${repo.path}/pkg/a`)).toEqual({ hash: tree, committed: tree, dirty: false });
  });

  it('has the id of the commit’s tree at the top', async () => {
    await using repo = await checkout(FILES);
    const tree = git(repo.path, 'rev-parse', 'HEAD^{tree}');
    expect(await hash(repo.path)).toEqual({ hash: tree, committed: tree, dirty: false });
  });

  it('stays clean with ignored files and with changes elsewhere', async () => {
    await using repo = await checkout(FILES);
    await write(repo.path, { 'pkg/a/x.ignored': 'x', 'pkg/b/more': 'x' });
    expect(await hash(`${repo.path}/pkg/a`)).toMatchObject({ dirty: false });
    expect(await hash(`${repo.path}/pkg/b`)).toMatchObject({ dirty: true });
  });

  it('is found through a symlink', async () => {
    await using repo = await checkout(FILES);
    await using other = await temporary();
    await symlink(repo.path, `${other.path}/link`);
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    expect(await hash(`${other.path}/link/pkg/a`)).toMatchObject({ hash: tree, dirty: false });
    expect(await hash(`${other.path}/link`)).toMatchObject({ dirty: false });
  });
});

describe('options', () => {
  it('hashes the tree of --hash-path, which must contain the package', async () => {
    await using repo = await checkout(FILES);
    const dir = `${repo.path}/pkg/a`;
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg');
    expect(await hash(dir, { hashPath: `${repo.path}/pkg` })).toMatchObject({ hash: tree });
    await expect(hash(dir, { hashPath: `${repo.path}/common` })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    // A common prefix of the names is not enough.
    await mkdir(`${repo.path}/pkg/a2`);
    await expect(hash(`${repo.path}/pkg/a2`, { hashPath: dir })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it('hashes the tree of --hash-commit, never dirty', async () => {
    await using repo = await checkout(FILES);
    const first = git(repo.path, 'rev-parse', 'HEAD');
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    await write(repo.path, { 'pkg/a/new': 'new\n' });
    commit(repo.path);
    await write(repo.path, { 'pkg/a/new': 'newer\n' });
    const old = await hash(`${repo.path}/pkg/a`, { hashCommit: first });
    expect(old).toMatchObject({ hash: tree, dirty: false });
    await expect(hash(`${repo.path}/pkg/a`, { hashCommit: 'nope' })).rejects.toMatchObject({
      code: 'GIT_FAILED',
    });
    // An option of git is not accepted as a commit.
    await expect(hash(`${repo.path}/pkg/a`, { hashCommit: '--all' })).rejects.toMatchObject({
      code: 'GIT_FAILED',
    });
  });

  it('returns --hash unchanged', async () => {
    await using repo = await checkout(FILES);
    await write(repo.path, { 'pkg/a/new': 'new\n' });
    expect(await hash(`${repo.path}/pkg/a`, { hash: 'abc' })).toMatchObject({
      hash: 'abc',
      dirty: true,
    });
  });

  it('hashes the trees of extra sources with its own', async () => {
    await using repo = await checkout(FILES);
    const extraSources = [`${repo.path}/common`];
    const clean = await hash(`${repo.path}/pkg/b`, { extraSources });
    const trees = ['HEAD:pkg/b', 'HEAD:common'].map((name) => git(repo.path, 'rev-parse', name));
    const sum = execFileSync('sha1sum', { input: trees.join(''), encoding: 'utf8' });
    expect(clean).toEqual({ hash: sum.slice(0, 40), committed: sum.slice(0, 40), dirty: false });
    // LinuxKit's tag ignores this change; `committed` includes it.
    await write(repo.path, { 'common/lib.c': 'int y;\n' });
    const dirty = await hash(`${repo.path}/pkg/b`, { extraSources });
    expect(dirty).toMatchObject({ hash: clean.hash, dirty: true });
    commit(repo.path);
    expect(await hash(`${repo.path}/pkg/b`, { extraSources })).toMatchObject({
      hash: dirty.committed,
      dirty: false,
    });
  });
});

describe('a changed directory', () => {
  it.each<[string, (dir: string) => Promise<unknown>]>([
    ['a change', (dir) => writeFile(`${dir}/Dockerfile`, 'FROM scratch\nLABEL a=b\n')],
    ['a new file', (dir) => writeFile(`${dir}/new`, 'new\n')],
    ['a deleted file', (dir) => rm(`${dir}/Dockerfile`)],
    ['a mode', (dir) => chmod(`${dir}/Dockerfile`, 0o755)],
    ['a symlink', (dir) => symlink('sub', `${dir}/link`)],
    [
      'a file that became a directory',
      (dir) => rm(`${dir}/sub.txt`).then(() => write(dir, { 'sub.txt/x': 'x' })),
    ],
    [
      'a directory that became a symlink',
      (dir) => rm(`${dir}/sub`, { recursive: true }).then(() => symlink('/etc', `${dir}/sub`)),
    ],
    [
      'unusual names',
      (dir) =>
        write(dir, { 'ünï/\ttab': '1', '-rf': '2', ':(top)x': '3', 'a b"\\': '4', '*': '5' }),
    ],
    ['a staged file', (dir) => writeFile(`${dir}/staged`, 's').then(() => git(dir, 'add', '.'))],
    [
      'an ignored file that is tracked',
      (dir) =>
        writeFile(`${dir}/t.ignored`, 't')
          .then(() => git(dir, 'add', '--force', 't.ignored'))
          .then(() => writeFile(`${dir}/t.ignored`, 'u')),
    ],
    [
      'line ends that git converts',
      (dir) => write(dir, { '.gitattributes': '*.txt text eol=crlf\n', 'crlf.txt': 'a\r\nb\r\n' }),
    ],
  ])('has the hash of the next commit: %s', async (_name, change) => {
    await using repo = await checkout(FILES);
    const dir = `${repo.path}/pkg/a`;
    const head = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    await change(dir);
    const before = await hash(dir);
    expect(before.dirty).toBe(true);
    expect(before.hash).toMatch(new RegExp(`^${head}-dirty-[0-9a-f]{7}$`));
    commit(repo.path);
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    expect(before.committed).toBe(tree);
    expect(before.committed).not.toBe(head);
    expect(await hash(dir)).toEqual({ hash: tree, committed: tree, dirty: false });
  });

  it('hashes the contents in git’s order for the digits after -dirty-', async () => {
    await using repo = await checkout(FILES);
    const dir = `${repo.path}/pkg/a`;
    await write(dir, {
      Dockerfile: 'FROM x\n',
      zz: 'z\n',
      ü: 'not counted, as LinuxKit cannot open what git quotes\n',
    });
    await symlink('zz', `${dir}/a-link`);
    const script =
      '{ git ls-files; git ls-files -o --exclude-standard; } | while read -r f; do [ -f "$f" ] && [ ! -L "$f" ] && cat "$f"; done | sha256sum';
    const sum = execFileSync('sh', ['-c', script], { cwd: dir, env: ENV, encoding: 'utf8' });
    expect((await hash(dir)).hash).toMatch(new RegExp(`-dirty-${sum.slice(0, 7)}$`));
  });

  it('is clean when a staged change was reverted in the work tree', async () => {
    await using repo = await checkout(FILES);
    const dir = `${repo.path}/pkg/a`;
    await write(dir, { Dockerfile: 'FROM x\n' });
    git(repo.path, 'add', '--all');
    await write(dir, { Dockerfile: FILES['pkg/a/Dockerfile'] });
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    expect(await hash(dir)).toEqual({ hash: tree, committed: tree, dirty: false });
  });

  it('works for an uncommitted package, and before the first commit', async () => {
    await using repo = await checkout(FILES);
    await write(repo.path, { 'pkg/new/build.yml': 'image: new\n' });
    const fresh = await hash(`${repo.path}/pkg/new`);
    expect(fresh.hash).toMatch(new RegExp(`^${fresh.committed ?? ''}-dirty-[0-9a-f]{7}$`));
    commit(repo.path);
    expect(git(repo.path, 'rev-parse', 'HEAD:pkg/new')).toBe(fresh.committed);

    await using empty = await temporary();
    git(empty.path, 'init', '--quiet');
    await write(empty.path, FILES);
    const unborn = await hash(`${empty.path}/pkg/a`);
    commit(empty.path);
    expect(git(empty.path, 'rev-parse', 'HEAD:pkg/a')).toBe(unborn.committed);
  });

  it('hashes large files as git does, also those that it converts', async () => {
    await using repo = await checkout(FILES);
    const lines = 'a line that ends as on Windows\r\n'.repeat(200_000);
    await write(repo.path, {
      '.gitattributes': '*.txt text eol=crlf\n',
      'pkg/a/large.txt': lines,
      'pkg/a/large': lines,
    });
    const { committed } = await hash(`${repo.path}/pkg/a`);
    commit(repo.path);
    expect(git(repo.path, 'rev-parse', 'HEAD:pkg/a')).toBe(committed);
    expect(git(repo.path, 'cat-file', '-s', 'HEAD:pkg/a/large.txt')).toBe('6200000');
  });

  it('does not modify the user’s index, objects and work tree', async () => {
    await using repo = await checkout(FILES);
    await write(repo.path, { 'pkg/a/new': 'new\n', 'pkg/a/Dockerfile': 'FROM y\n' });
    const state = async (): Promise<unknown> => [
      await readFile(`${repo.path}/.git/index`),
      (await stat(`${repo.path}/.git/index`)).mtimeMs,
      (await readdir(`${repo.path}/.git`, { recursive: true })).toSorted((a, b) =>
        a < b ? -1 : 1,
      ),
    ];
    const before = await state();
    await hash(`${repo.path}/pkg/a`);
    expect(await state()).toEqual(before);
  });

  it('notices a change of the same size within the second of the commit', async () => {
    await using repo = await checkout(FILES);
    const dir = `${repo.path}/pkg/a`;
    for (let round = 0; round < 5; round += 1) {
      const text = `FROM scratc${round}\n`;
      await write(dir, { Dockerfile: text });
      const { committed } = await hash(dir);
      commit(repo.path);
      expect(git(repo.path, 'rev-parse', 'HEAD:pkg/a')).toBe(committed);
    }
  });

  it('notices a change with an equal time, as git does for racily clean files', async () => {
    await using repo = await checkout(FILES);
    const dir = `${repo.path}/pkg/a`;
    const then = 1_700_000_000;
    git(repo.path, 'config', 'core.trustctime', 'false');
    await utimes(`${dir}/Dockerfile`, then, then);
    commit(repo.path);
    await utimes(`${repo.path}/.git/index`, then, then);
    await write(dir, { Dockerfile: 'FROM scratcX\n' });
    await utimes(`${dir}/Dockerfile`, then, then);
    const { committed } = await hash(dir);
    commit(repo.path);
    expect(git(repo.path, 'show', 'HEAD:pkg/a/Dockerfile')).toBe('FROM scratcX');
    expect(git(repo.path, 'rev-parse', 'HEAD:pkg/a')).toBe(committed);
  });

  it('works during a merge conflict elsewhere', async () => {
    await using repo = await checkout(FILES);
    git(repo.path, 'checkout', '--quiet', '-b', 'other');
    await write(repo.path, { 'pkg/b/build.yml': 'image: other\n' });
    commit(repo.path);
    git(repo.path, 'checkout', '--quiet', 'main');
    await write(repo.path, { 'pkg/b/build.yml': 'image: main\n' });
    commit(repo.path);
    expect(() => git(repo.path, 'merge', 'other')).toThrow(/CONFLICT|merge/);
    await write(repo.path, { 'pkg/a/new': 'new\n' });
    const { committed } = await hash(`${repo.path}/pkg/a`);
    const conflict = await hash(`${repo.path}/pkg/b`);
    expect(conflict.dirty).toBe(true);
    commit(repo.path);
    expect(git(repo.path, 'rev-parse', 'HEAD:pkg/a')).toBe(committed);
    expect(git(repo.path, 'rev-parse', 'HEAD:pkg/b')).toBe(conflict.committed);
  });

  it('works in a SHA-256 repository', async () => {
    await using dir = await temporary();
    git(dir.path, 'init', '--quiet', '--object-format=sha256');
    await write(dir.path, FILES);
    commit(dir.path);
    await write(dir.path, { 'pkg/a/new': 'new\n' });
    const { committed } = await hash(`${dir.path}/pkg/a`);
    commit(dir.path);
    expect(git(dir.path, 'rev-parse', 'HEAD:pkg/a')).toBe(committed);
  });
});

describe('the environment', () => {
  it('has no hash outside git', async () => {
    await using dir = await temporary();
    await write(dir.path, FILES);
    expect(await hash(`${dir.path}/pkg/a`)).toEqual({
      hash: '',
      committed: undefined,
      dirty: false,
    });
    expect(await hash(`${dir.path}/pkg/a`, { hash: 'abc' })).toMatchObject({ hash: 'abc' });
  });

  it('has no hash without git outside a repository, and fails inside one', async () => {
    await using dir = await temporary();
    await write(dir.path, FILES);
    expect(await hash(`${dir.path}/pkg/a`, { env: { PATH: '/nonexistent' } })).toMatchObject({
      hash: '',
    });
    await mkdir(join(dir.path, '.git'));
    await expect(
      hash(`${dir.path}/pkg/a`, { env: { PATH: '/nonexistent' } }),
    ).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      fix: 'install it: apt-get install git',
    });
  });

  it('fails for a broken repository', async () => {
    await using repo = await checkout(FILES);
    await writeFile(`${repo.path}/.git/config`, '[broken');
    await expect(hash(`${repo.path}/pkg/a`)).rejects.toMatchObject({ code: 'GIT_FAILED' });
  });

  it('does not treat tracked files as a repository, and ignores the config in them', async () => {
    await using other = await temporary();
    const proof = `${other.path}/proof`;
    await using repo = await checkout({
      'pkg/a/build.yml': 'image: a\n',
      'pkg/a/HEAD': 'ref: refs/heads/main\n',
      'pkg/a/config': `[core]\nworktree = .\nbare = false\n[filter "x"]\nclean = "touch ${proof} && cat"\n`,
      'pkg/a/objects/x': '',
      'pkg/a/refs/x': '',
      'pkg/a/.gitattributes': '* filter=x\n',
    });
    await expect(hash(`${repo.path}/pkg/a`)).rejects.toMatchObject({
      code: 'GIT_FAILED',
      message: expect.stringContaining('cannot use bare repository') as string,
    });
    expect(await readdir(other.path)).toEqual([]);
  });

  it('ignores the variables of a git hook', async () => {
    await using repo = await checkout(FILES);
    await using other = await checkout({ x: 'x' });
    const env = {
      ...ENV,
      GIT_DIR: `${other.path}/.git`,
      GIT_INDEX_FILE: '/nonexistent',
      GIT_WORK_TREE: '/',
    };
    const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    expect(await hash(`${repo.path}/pkg/a`, { env })).toMatchObject({ hash: tree, dirty: false });
  });

  it('hashes each directory in its own repository', async () => {
    await using repo = await checkout(FILES);
    git(`${repo.path}/pkg`, 'init', '--quiet', 'inner');
    await write(`${repo.path}/pkg/inner`, { 'build.yml': 'image: inner\n' });
    commit(`${repo.path}/pkg/inner`);
    const tree = git(`${repo.path}/pkg/inner`, 'rev-parse', 'HEAD^{tree}');
    const extraSources = [`${repo.path}/pkg/inner`];
    const own = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
    const sum = execFileSync('sha1sum', { input: `${own}${tree}`, encoding: 'utf8' });
    expect(await hash(`${repo.path}/pkg/a`, { extraSources })).toMatchObject({
      hash: sum.slice(0, 40),
    });
  });
});

it('computes the hash of a clean checkout without git', async () => {
  await using repo = await settled();
  const tree = git(repo.path, 'rev-parse', 'HEAD:pkg/a');
  const dir = join(repo.path, 'pkg/a');
  expect(await hash(dir, { env: { PATH: '/nonexistent' } })).toEqual({
    hash: tree,
    committed: tree,
    dirty: false,
  });
});
