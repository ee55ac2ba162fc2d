import { chmod, chown, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { overrides } from '../../git/src/config.ts';
import { readSources } from '../src/sources/sources.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { checkout, ENV, git, temporary, write } from '../../git/test/checkout.ts';

const FILES = {
  'pkg/a/build.yml': 'image: a\n',
  'pkg/a/Dockerfile': 'FROM scratch\n',
  'pkg/a/data.bin': 'data\n',
};

async function readAll(
  path: string,
  env: Readonly<Record<string, string>> = ENV,
): Promise<{ hash: string; committed: string | undefined }> {
  const workspace = await openWorkspace(path, { env });
  const sources = await readSources(workspace, workspace.packages.values());
  const [item] = workspace.packages.values();
  if (item === undefined) throw new Error('there is no package');
  await sources.context(item);
  return sources.hash(item);
}

/** Returns a git config that would make git start `program`. */
function hostileConfig(program: string): string {
  return `[filter "x"]
\tclean = ${program} clean
\tsmudge = ${program} smudge
\trequired = true
[filter "y.z"]
\tprocess = ${program} process
\trequired
[core]
\tfsmonitor = ${program} fsmonitor
\thooksPath = hooks-of-mine
\tsshCommand = ${program} ssh
\tpager = ${program} pager
\talternateRefsCommand = ${program} alternates
[diff]
\texternal = ${program} external
[diff "x"]
\tcommand = ${program} command
\ttextconv = ${program} textconv
[credential]
\thelper = ${program} credential
[protocol "ext"]
\tallow = always
[remote "origin"]
\turl = ext::${program} ext
\tpromisor = true
\tpartialclonefilter = blob:none
[extensions]
\tpartialClone = origin
[alias]
\tstatus = !${program} alias
[include]
\tpath = more
`;
}

it('starts no program from the config of a checkout', async () => {
  await using other = await temporary();
  const canaries = `${other.path}/canaries`;
  await mkdir(canaries);
  const program = `${other.path}/canary`;
  await writeFile(program, `#!/bin/sh\ntouch "${canaries}/$1"\ncat\n`);
  await chmod(program, 0o755);
  await using repo = await checkout({
    ...FILES,
    '.gitattributes': '*.bin filter=x diff=x\n*.y filter=y.z\n*.w filter=more\n',
  });
  const hooks = ['post-index-change', 'pre-commit', 'reference-transaction', 'fsmonitor-watchman'];
  const attack = async (dir: string): Promise<void> => {
    await writeFile(`${dir}/config`, hostileConfig(program), { flag: 'a' });
    await writeFile(`${dir}/more`, `[filter "more"]\n\tclean = ${program} more\n`);
    for (const hook of hooks) {
      await writeFile(`${dir}/hooks/${hook}`, `#!/bin/sh\ntouch ${canaries}/hook\n`);
      await chmod(`${dir}/hooks/${hook}`, 0o755);
    }
  };
  await using inner = await checkout({ '.gitattributes': '* filter=x\n', f: 'f' });
  git(
    repo.path,
    '-c',
    'protocol.file.allow=always',
    'submodule',
    'add',
    '--quiet',
    inner.path,
    'sub',
  );
  git(repo.path, 'commit', '--quiet', '--message', 'sub');
  await attack(`${repo.path}/.git`);
  await attack(`${repo.path}/.git/modules/sub`);
  await write(repo.path, {
    'pkg/a/data.bin': 'Data\n',
    'pkg/a/new.bin': 'new\n',
    'pkg/a/new.y': 'new\n',
    'pkg/a/new.w': 'new\n',
    'sub/f': 'g',
  });
  const { hash, committed } = await readAll(repo.path);
  expect(hash).toMatch(/-dirty-/);
  expect(committed).toMatch(/^[0-9a-f]{40}$/);
  expect(await readdir(canaries)).toEqual([]);
});

it('keeps the filters of the user’s config', async () => {
  await using home = await temporary();
  await using repo = await checkout({ ...FILES, '.gitattributes': '*.bin filter=upper\n' });
  const config = `${home.path}/config`;
  await writeFile(config, '[filter "upper"]\n\tclean = tr a-z A-Z\n\trequired = true\n');
  git(repo.path, 'config', 'filter.upper.clean', 'false');
  await write(repo.path, { 'pkg/a/data.bin': 'new\n' });
  const { committed } = await readAll(repo.path, { ...ENV, GIT_CONFIG_GLOBAL: config });
  await write(repo.path, { 'pkg/a/data.bin': 'NEW\n', '.gitattributes': '' });
  expect((await readAll(repo.path)).committed).toBe(committed);
});

it('overrides settings of the repository with those of other scopes, or with nothing', () => {
  const settings = [
    ['global', 'filter.lfs.clean\ngit-lfs clean'],
    ['global', 'filter.lfs.required\ntrue'],
    ['local', 'filter.lfs.clean\nevil'],
    ['local', 'filter.lfs.required\nfalse'],
    ['local', 'filter.a=b.c.process\nevil'],
    ['worktree', 'diff.X.textconv\nevil'],
    ['local', 'filter.r.required'],
    ['local', 'user.name\nme'],
    ['local', 'core.bare\nfalse'],
  ];
  const list = settings.map(([scope, setting]) => `${scope}\0${setting}\0`).join('');
  expect(overrides(list)).toEqual([
    ['filter.lfs.clean', 'git-lfs clean'],
    ['filter.lfs.required', 'true'],
    ['filter.a=b.c.process', ''],
    ['diff.X.textconv', ''],
    ['filter.r.required', 'false'],
  ]);
});

it('names the command that allows a repository of another user', async () => {
  await using repo = await checkout(FILES);
  await chown(repo.path, 65_534, 65_534);
  await chown(`${repo.path}/.git`, 65_534, 65_534);
  await expect(readAll(repo.path)).rejects.toMatchObject({
    code: 'GIT_FAILED',
    message: `git rev-parse: detected dubious ownership in repository at '${repo.path}'`,
    // git's own text would say the same twice.
    detail: undefined,
    fix: `run: git config --global --add safe.directory ${repo.path}`,
  });
});

it('rejects extra sources outside the repository', async () => {
  await using outer = await temporary();
  await write(outer.path, { 'common/f': 'f' });
  await using repo = await checkout(FILES);
  await symlink(outer.path, `${repo.path}/link`);
  for (const source of [`${outer.path}/common`, '../../link/common', '../../..']) {
    await write(repo.path, {
      'pkg/a/build.yml': `image: a\nextra-sources:\n  - ${source}:/x\n`,
    });
    await expect(readAll(repo.path)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/build\.yml:3:5: .* is outside the repository/),
    });
  }
});
