import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { areCommitted, findTopWithoutGit, readWorkTree } from '../src/work-tree.ts';
import { trackedDirectories } from '../src/tracked-directories.ts';
import { ObjectDatabase } from '../src/object-database.ts';
import { filesAsCommitted } from '../src/commit-preview.ts';
import { createGit } from '../src/command.ts';
import { commit, ENV, git, settled, temporary, write } from './checkout.ts';

const read = (top: string, ...paths: readonly string[]): ReturnType<typeof readWorkTree> =>
  readWorkTree(top, paths, ENV);

describe('readWorkTree in an unchanged checkout', () => {
  it('returns the same trees and files as git', async () => {
    await using repo = await settled();
    const found = read(repo.path, 'pkg/a', 'pkg', '');
    for (const path of ['pkg/a', 'pkg', ''])
      expect(found?.trees.get(path)).toBe(git(repo.path, 'rev-parse', `HEAD:${path}`));
    const listed = git(repo.path, 'ls-files', '-s', '-z').split('\0').filter(Boolean);
    expect(found?.files).toHaveLength(listed.length);
    for (const [index, line] of listed.entries()) {
      const file = found?.files[index];
      const path = Buffer.from(file?.path ?? '', 'latin1').toString();
      expect(`${file?.mode} ${path}`).toBe(line.replace(/ .*\t/, ' '));
    }
  });

  it('names the directories of a file anywhere in the index', async () => {
    await using repo = await settled();
    const found = readWorkTree(repo.path, ['pkg/a'], ENV, { name: 'build.yml' });
    const listed = git(repo.path, 'ls-files', ':(glob)**/build.yml').split('\n');
    expect(listed).not.toEqual([]);
    expect(found?.named.map((path) => join(path, 'build.yml'))).toEqual(listed);
    expect(found?.files.every(({ path }) => path.startsWith('pkg/a/'))).toBe(true);
    expect(trackedDirectories(repo.path, 'build.yml', ENV)).toEqual(found?.named);
  });

  it.each([
    ['with a detached HEAD', ['checkout', '--quiet', '--detach']],
    ['with packed refs', ['pack-refs', '--all']],
    ['with packed objects', ['gc', '--quiet']],
    ['with an index of version 3', ['update-index', '--index-version', '3']],
    ['after other commits', ['commit', '--quiet', '--allow-empty', '--message', 'more']],
  ])('reads it %s', async (_, command) => {
    await using repo = await settled();
    git(repo.path, ...command);
    expect(read(repo.path, 'pkg/a')?.trees.get('pkg/a')).toBe(
      git(repo.path, 'rev-parse', 'HEAD:pkg/a'),
    );
  });

  it.each(['true', 'false'])(
    'reads deltified objects (delta base offsets: %s)',
    async (offsets) => {
      await using repo = await settled();
      for (let round = 0; round < 3; round += 1) {
        const files = Array.from({ length: 60 }, (_, file) => [
          `pkg/f${file}`,
          `${round * file}\n`,
        ]);
        await write(repo.path, Object.fromEntries(files) as Record<string, string>);
        commit(repo.path);
      }
      const setting = `repack.useDeltaBaseOffset=${offsets}`;
      git(repo.path, '-c', setting, 'repack', '-q', '-a', '-d', '-f', '--window=50', '--depth=50');
      const format = '--batch-check=%(objecttype) %(objectname) %(objectsize) %(deltabase)';
      const lines = git(repo.path, 'cat-file', '--batch-all-objects', format).split('\n');
      expect(lines.some((line) => line.startsWith('tree') && !/ 0+$/.test(line))).toBe(true);
      const objects = new ObjectDatabase(join(repo.path, '.git/objects'));
      for (const line of lines) {
        const [type, id = '', size] = line.split(' ');
        const found = objects.read(id);
        expect(`${found?.type} ${found?.content.length}`).toBe(`${type} ${size}`);
      }
      expect(read(repo.path, 'pkg/a')).toBeDefined();
    },
  );

  it('reads files as old as the index', async () => {
    await using repo = await settled();
    const path = 'pkg/a/sub.txt';
    await recordStats(repo.path, path);
    expect(read(repo.path, 'pkg/a')?.trees.get('pkg/a')).toBe(
      git(repo.path, 'rev-parse', 'HEAD:pkg/a'),
    );
    expect(areCommitted(repo.path, [path], ENV)).toBe(true);
  });

  it('reads a submodule, unless its settings move the work tree', async () => {
    await using repo = await settled();
    await using outer = await temporary();
    git(outer.path, 'init', '--quiet');
    const file = ['-c', 'protocol.file.allow=always'];
    git(outer.path, ...file, 'submodule', '--quiet', 'add', repo.path, 'deep/part');
    const path = join(outer.path, 'deep/part');
    await settle(path);
    expect(findTopWithoutGit(join(path, 'pkg/a'), ENV)).toBe(path);
    expect(read(path, 'pkg/a')?.trees.get('pkg/a')).toBe(git(path, 'rev-parse', 'HEAD:pkg/a'));
    git(path, 'config', 'core.worktree', '../../../../..');
    expect(findTopWithoutGit(join(path, 'pkg/a'), ENV)).toBe(undefined);
  });

  it('reads a linked work tree', async () => {
    await using repo = await settled();
    await using other = await temporary();
    const path = join(other.path, 'tree');
    git(repo.path, 'worktree', 'add', '--quiet', path);
    await settle(path);
    expect(findTopWithoutGit(join(path, 'pkg/a'), ENV)).toBe(path);
    expect(read(path, 'pkg/a')?.trees.get('pkg/a')).toBe(git(path, 'rev-parse', 'HEAD:pkg/a'));
  });
});

describe('readWorkTree in an edited checkout', () => {
  it.each<[string, (top: string) => Promise<unknown>, ...(readonly string[])]>([
    [
      'other contents',
      (top) => write(top, { 'pkg/a/sub.txt': 'other\n', 'pkg/b/build.yml': 'image: longer\n' }),
      'pkg/a/sub.txt',
      'pkg/b/build.yml',
    ],
    [
      'other contents of the same length and time',
      async (top) => {
        const path = join(top, 'pkg/a/build.yml');
        const { atime, mtime } = await stat(path);
        await writeFile(path, 'image: z\n');
        await utimes(path, atime, mtime);
      },
      'pkg/a/build.yml',
    ],
    [
      'other contents, written in the tick in which the file was added',
      async (top) => {
        await write(top, { 'pkg/a/sub.txt': 'another name, as long here\n' });
        await recordStats(top, 'pkg/a/sub.txt');
      },
      'pkg/a/sub.txt',
    ],
    [
      'a link to another file',
      async (top) => {
        await rm(join(top, 'pkg/a/link'));
        await symlink('sub.txt', join(top, 'pkg/a/link'));
      },
      'pkg/a/link',
    ],
    ['more than a chunk', (top) => write(top, { 'pkg/a/sub.txt': LONG }), 'pkg/a/sub.txt'],
    ['a deleted file', (top) => rm(join(top, 'pkg/a/sub.txt')), 'pkg/a/sub.txt'],
    [
      'a deleted directory',
      (top) => rm(join(top, 'pkg/a/sub'), { recursive: true }),
      Buffer.from('pkg/a/sub/deep/ünï').toString('latin1'),
    ],
    ['the same contents in another file', (top) => replace(join(top, 'pkg/a/build.yml'))],
  ])('returns what git would commit: %s', async (_, change, ...changed) => {
    await using repo = await settled();
    const paths = ['pkg/a', 'pkg/b', 'pkg', ''];
    const before = paths.map((path) => git(repo.path, 'rev-parse', `HEAD:${path}`));
    await change(repo.path);
    const found = read(repo.path, ...paths);
    expect(found?.changed).toEqual(changed);
    expect([...(found?.trees.values() ?? [])]).toEqual(before);
    // Git compares the time of the change in seconds, unless it has no stats to compare.
    await rm(join(repo.path, '.git/index'));
    commit(repo.path);
    const after = paths.map((path) => git(repo.path, 'rev-parse', `HEAD:${path}`));
    expect([...(found?.currentTrees.values() ?? [])]).toEqual(after);
    const files = git(repo.path, 'ls-files', '-z').split('\0').filter(Boolean);
    expect(found?.files.map(({ path }) => Buffer.from(path, 'latin1').toString())).toEqual(files);
  });

  it('returns what git would commit for random attributes, settings and line ends', async () => {
    const seed = Number(process.env['LKT_FUZZ_SEED'] ?? Date.now() % 1e9);
    let state = seed;
    const pick = <T>(items: readonly T[]): T => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return items[(state >>> 16) % items.length] as T;
    };
    let withReturn = 0;
    for (let round = 0; round < 40; round += 1) {
      await using repo = await settled();
      const { path: top } = repo;
      const content = (): string =>
        Array.from({ length: 4 }, () => pick(['a\n', 'b\r\n', 'c\r', '\0', '\x1a', 'd'])).join('');
      await write(top, { 'pkg/a/new.txt': content(), 'pkg/a/sub.txt': content() });
      // Git compares seconds: a new file may be an edited one, which it would convert.
      for (const name of ['new.txt', 'sub.txt']) await utimes(join(top, 'pkg/a', name), 1e9, 1e9);
      commit(top);
      for (const file of ['.gitattributes', 'pkg/a/.gitattributes', '.git/info/attributes'])
        if (pick([true, false])) await write(top, { [file]: `${pick(PATTERNS)} ${pick(RULES)}\n` });
      for (const [name, ...values] of SETTINGS)
        if (pick([true, false, false, false])) git(top, 'config', name, pick(values));
      const edited = { 'pkg/a/sub.txt': `${content()}${round}`, 'pkg/a/x': `x${content()}` };
      await write(top, edited);
      const found = read(top, 'pkg/a');
      const what = `LKT_FUZZ_SEED=${seed}, round ${round}`;
      git(top, 'add', '--all');
      const trees = found && [...found.currentTrees.values()];
      if (trees === undefined) continue;
      if (Object.values(edited).some((text) => text.includes('\r'))) withReturn += 1;
      expect(trees, what).toEqual([git(top, 'rev-parse', `${git(top, 'write-tree')}:pkg/a`)]);
    }
    expect(withReturn).toBeGreaterThan(0);
  });

  it('returns the empty tree of a directory whose files were all deleted', async () => {
    await using repo = await settled();
    await rm(join(repo.path, 'pkg/b/build.yml'));
    expect(read(repo.path, 'pkg/b')?.currentTrees.get('pkg/b')).toBe(EMPTY_TREE);
  });
});

const LONG = 'x'.repeat(3 * 1024 * 1024 + 1);
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

const PATTERNS = ['*', '*.txt', 'x', 'pkg/a/*'];
const RULES = [
  'text',
  '-text',
  'text=auto',
  'text=auto eol=lf',
  'eol=lf',
  'eol=crlf',
  'crlf',
  '-crlf',
  'crlf=input',
  'binary',
  'diff=cpp merge=union',
  'export-ignore',
];
const SETTINGS: readonly (readonly [string, ...string[]])[] = [
  ['core.autocrlf', 'true', 'input', 'false'],
  ['core.eol', 'lf', 'crlf', 'native'],
  ['core.safecrlf', 'warn', 'false'],
];

describe('areCommitted', () => {
  const FILE = 'pkg/a/build.yml';

  it('accepts files of HEAD', async () => {
    await using repo = await settled();
    expect(areCommitted(repo.path, [FILE, 'pkg/a/sub.txt'], ENV)).toBe(true);
    expect(areCommitted(repo.path, [], ENV)).toBe(true);
  });

  it('rejects files that git does not track', async () => {
    await using repo = await settled();
    await write(repo.path, { 'pkg/a/new': '', 'pkg/a/x.ignored': '' });
    for (const path of ['pkg/a/new', 'pkg/a/x.ignored', 'pkg/a', 'none'])
      expect(areCommitted(repo.path, [FILE, path], ENV)).toBe(false);
  });

  it.each<[string, (top: string) => Promise<unknown> | string]>([
    ['edited', (top) => write(top, { [FILE]: 'image: z\n' })],
    ['removed', (top) => rm(join(top, FILE))],
    ['staged', (top) => (writeFileSync(join(top, FILE), 'image: z\n'), git(top, 'add', FILE))],
    ['new in the index', (top) => git(top, 'reset', '--quiet', '--soft', 'HEAD~')],
    ['assumed unchanged', (top) => git(top, 'update-index', '--assume-unchanged', FILE)],
  ])('leaves a file to git that is %s', async (_, change) => {
    await using repo = await settled();
    await change(repo.path);
    expect(areCommitted(repo.path, [FILE], ENV)).toBe(undefined);
  });
});

/**
 * Writes the times of a file into its entry of the index, as if both were written in one tick of
 * the clock.
 */
async function recordStats(top: string, path: string): Promise<void> {
  const index = join(top, '.git/index');
  const bytes = await readFile(index);
  const { ctimeNs, mtimeNs, mtime } = await stat(join(top, path), { bigint: true });
  // The path follows the 62 bytes of stats, id and flags; its end is padded with NULs.
  const entry = bytes.indexOf(`${path}\0`) - 62;
  for (const [at, time] of [ctimeNs, mtimeNs].entries()) {
    bytes.writeUInt32BE(Number(time / 1_000_000_000n), entry + at * 8);
    bytes.writeUInt32BE(Number(time % 1_000_000_000n), entry + at * 8 + 4);
  }
  await writeFile(index, bytes);
  await utimes(index, mtime, mtime);
}

/** Rewrites the index, later than the files. */
async function settle(path: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  git(path, 'update-index', '--add', '--cacheinfo', `100644,${EMPTY_BLOB},later`);
  git(path, 'update-index', '--force-remove', 'later');
}

const EMPTY_BLOB = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391';

describe('readWorkTree returns undefined', () => {
  const CHANGES: readonly (readonly [string, (top: string) => Promise<unknown> | string])[] = [
    [
      'a file is marked assume-unchanged',
      (top) => git(top, 'update-index', '--assume-unchanged', 'pkg/a/sub.txt'),
    ],
    [
      'a file is marked skip-worktree',
      (top) => git(top, 'update-index', '--skip-worktree', 'pkg/a/sub.txt'),
    ],
    ['the index is split', (top) => git(top, 'update-index', '--split-index')],
    ['the index has version 4', (top) => git(top, 'update-index', '--index-version', '4')],
    ['core.worktree is set', (top) => git(top, 'config', 'core.worktree', '..')],
    ['core.bare is true', (top) => git(top, 'config', 'core.bare', 'true')],
    ['the configuration includes a file', (top) => git(top, 'config', 'include.path', 'more')],
    ['the configuration is malformed', (top) => appendFile(join(top, '.git/config'), '[broken')],
    [
      'a setting continues on a second line',
      (top) => appendFile(join(top, '.git/config'), 'bare = false\\\n'),
    ],
    ['the format has extensions', (top) => git(top, 'config', 'extensions.noop', 'true')],
    ['the format is unknown', (top) => git(top, 'config', 'core.repositoryFormatVersion', '7')],
    ['a replacement ref exists', (top) => git(top, 'replace', 'HEAD', 'HEAD~')],
    ['the index is not valid', (top) => writeFile(join(top, '.git/index'), 'DIRC')],
    ['the index is truncated', (top) => cutOff(join(top, '.git/index'))],
    ['a directory contains a repository', (top) => mkdir(join(top, 'pkg/a/.git'))],
    ['a new directory contains one', (top) => write(top, { 'pkg/a/new/.git': 'gitdir: x' })],
    [
      'the branch of HEAD is a link',
      async (top) => {
        await symlink('main', join(top, '.git/refs/heads/other'));
        await writeFile(join(top, '.git/HEAD'), 'ref: refs/heads/other\n');
      },
    ],
    ['a commit is missing', (top) => rm(objectPath(top, 'HEAD'))],
    ['a tree is missing', (top) => rm(objectPath(top, 'HEAD:pkg')).then(() => stage(top))],
    ['upper and lower case are equal', (top) => newAfter(top, 'core.ignoreCase', 'true')],
    ['the user names a file of patterns oddly', (top) => newAfter(top, 'core.excludesFile', 'x')],
    ['.gitignore is a link', (top) => symlink('sub.txt', join(top, 'pkg/a/.gitignore'))],
    ['a pattern has an escape', (top) => write(top, { 'pkg/.gitignore': '\\#x\n', 'pkg/a/n': '' })],
    [
      'git ignores the directory itself',
      (top) => write(top, { '.gitignore': 'a\n', 'pkg/a/n': '' }),
    ],
    ['a directory looks like a repository', (top) => write(top, { 'pkg/HEAD': 'x' })],
    ['another user owns the repository', (top) => chown(join(top, '.git'), 12345, 12345)],
  ];

  it.each(CHANGES)('if %s', async (_, change) => {
    await using repo = await settled();
    expect(plain(repo.path)).toBe(true);
    await change(repo.path);
    expect(plain(repo.path)).toBe(false);
  });

  it.each<[string, (top: string) => Promise<unknown> | string]>([
    ['a filter', (top) => write(top, { '.gitattributes': '*.txt filter=lfs\n' })],
    ['keywords', (top) => write(top, { 'pkg/a/.gitattributes': '*.txt ident\n' })],
    ['encodings', (top) => write(top, { '.git/info/attributes': '* working-tree-encoding=X\n' })],
    ['attributes elsewhere', (top) => git(top, 'config', 'core.attributesFile', '/tmp/x')],
    ['attributes of a tree', (top) => git(top, 'config', 'attr.tree', 'HEAD')],
  ])('if git may convert an edited file: %s', async (_, change) => {
    await using repo = await settled();
    await write(repo.path, { 'pkg/a/.gitattributes': '*.txt text eol=lf\n' });
    commit(repo.path);
    await settle(repo.path);
    await write(repo.path, { 'pkg/a/sub.txt': 'other\n' });
    expect(read(repo.path, 'pkg/a')?.changed).toEqual(['pkg/a/sub.txt']);
    await change(repo.path);
    expect(read(repo.path, 'pkg/a')).toBe(undefined);
  });

  it.each<[string, (top: string) => Promise<unknown> | string]>([
    ['a setting', (top) => git(top, 'config', 'core.autocrlf', 'input')],
    ['an attribute', (top) => write(top, { '.gitattributes': '* text=auto\n' })],
    ['another attribute', (top) => write(top, { '.git/info/attributes': '* eol=lf\n' })],
    ['an older attribute', (top) => write(top, { 'pkg/a/.gitattributes': 'new crlf\n' })],
  ])('if git may convert the line ends of a new file: %s', async (_, change) => {
    await using repo = await settled();
    await write(repo.path, { 'pkg/a/new': 'a\r\n' });
    expect(read(repo.path, 'pkg/a')?.untracked).toEqual(['pkg/a/new']);
    await change(repo.path);
    expect(read(repo.path, 'pkg/a')).toBe(undefined);
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ['was removed', async (file) => rm(file)],
    ['became a link', async (file) => rm(file).then(() => symlink('nothing', file))],
  ])('if the file of the index that names a filter %s', async (_, change) => {
    await using repo = await settled();
    const { path: top } = repo;
    git(top, 'config', 'filter.upper.clean', 'tr a-z A-Z');
    await write(top, { 'pkg/.gitattributes': '*.txt filter=upper\n' });
    commit(top);
    await settle(top);
    await change(join(top, 'pkg/.gitattributes'));
    expect(read(top, 'pkg/a')?.changed).toEqual([]);
    await write(top, { 'pkg/a/sub.txt': 'other\n' });
    expect(read(top, 'pkg/a')).toBe(undefined);
    git(top, 'add', 'pkg/a/sub.txt');
    expect(git(top, 'show', ':pkg/a/sub.txt')).toBe('OTHER');
  });

  it('if settings of the user may name a filter for an edited file', async () => {
    await using repo = await settled();
    await write(repo.path, { 'pkg/a/sub.txt': 'other\n' });
    await using home = await temporary();
    await write(home.path, { 'git/attributes': '* filter=lfs\n', config: '[include]\npath = x\n' });
    const { GIT_CONFIG_GLOBAL: _, ...env } = ENV;
    for (const more of [
      { XDG_CONFIG_HOME: home.path },
      { GIT_CONFIG_GLOBAL: join(home.path, 'config') },
      { GIT_CONFIG_COUNT: '0' },
    ])
      expect(readWorkTree(repo.path, ['pkg/a'], { ...env, ...more })).toBe(undefined);
    expect(readWorkTree(repo.path, ['pkg/a'], env)).toBeDefined();
  });

  it('if more bytes may have changed than it may read', async () => {
    await using repo = await settled();
    await write(repo.path, { 'pkg/a/sub.txt': 'x'.repeat(1000) });
    expect(readWorkTree(repo.path, ['pkg/a'], ENV, { maxBytes: 999 })).toBe(undefined);
    expect(readWorkTree(repo.path, ['pkg/a'], ENV, { maxBytes: 1000 })).toBeDefined();
  });

  it('if an object does not match its id', async () => {
    await using repo = await settled();
    const [commitPath, other] = ['HEAD', 'HEAD~'].map((name) => objectPath(repo.path, name));
    await chmod(commitPath ?? '', 0o644);
    await writeFile(commitPath ?? '', await readFile(other ?? ''));
    expect(plain(repo.path)).toBe(false);
  });

  it('if GIT_CEILING_DIRECTORIES limits the search', async () => {
    await using repo = await settled();
    const env = { ...ENV, GIT_CEILING_DIRECTORIES: repo.path };
    expect(findTopWithoutGit(join(repo.path, 'pkg/a'), env)).toBe(undefined);
  });

  it("inside a repository's own directory", async () => {
    await using repo = await settled();
    expect(findTopWithoutGit(join(repo.path, '.git/refs'), ENV)).toBe(undefined);
  });
});

/** Stages a file, so that the trees of the commit are read below the top. */
function stage(top: string): string {
  writeFileSync(join(top, 'pkg/b/build.yml'), 'image: z\n');
  return git(top, 'add', 'pkg/b');
}

async function newAfter(top: string, setting: string, value: string): Promise<void> {
  git(top, 'config', setting, value);
  await write(top, { 'pkg/a/new': '' });
}

function plain(top: string): boolean {
  return findTopWithoutGit(join(top, 'pkg/a'), ENV) === top && read(top, 'pkg/a') !== undefined;
}

function objectPath(top: string, name: string): string {
  const id = git(top, 'rev-parse', name);
  return join(top, '.git/objects', id.slice(0, 2), id.slice(2));
}

async function replace(path: string): Promise<void> {
  const { atime, mtime } = await stat(path);
  await writeFile(`${path}.new`, await readFile(path));
  await utimes(`${path}.new`, atime, mtime);
  await rename(`${path}.new`, path);
}

async function cutOff(path: string): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, 200));
}

describe('filesAsCommitted', () => {
  it('rejects a directory that git cannot open, and so leaves out', async () => {
    await using repo = await settled();
    // No path to the last directory is short enough for the kernel.
    const name = 'd'.repeat(250);
    const script =
      'import os\nfor i in range(20):\n os.mkdir("NAME"); os.chdir("NAME")\nopen("f", "w")';
    execFileSync('python3', ['-c', script.replaceAll('NAME', name)], { cwd: repo.path });
    const found = await filesAsCommitted(createGit(ENV), repo.path, [repo.path]).catch(
      (error: unknown) => error,
    );
    // Node cannot remove such a path either.
    execFileSync('rm', ['-r', name], { cwd: repo.path });
    expect(found).toMatchObject({
      code: 'GIT_FAILED',
      message: expect.stringMatching(/^git cannot open a directory: d+\//) as string,
      fix: 'make it readable, or let git ignore it',
    });
  });
});

describe('createGit', () => {
  it('reports a missing directory instead of a missing git', async () => {
    await using repo = await settled();
    const failed = createGit(ENV).run(join(repo.path, 'absent'), ['version']);
    await expect(failed).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
