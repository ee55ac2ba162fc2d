import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build, listing, scratch } from '../fixture.ts';
import { commit, git, repository, serveDumb, serveGit } from './git-server.ts';

const directory = scratch();
const store = join(directory.path, 'store');
const at = (name: string): string => join(directory.path, 'git', name);
let server: Awaited<ReturnType<typeof serveGit>> | undefined;
let first = '';
let address = '';

const FILES = {
  README: 'read\n',
  'bin/run': '#!/bin/sh\necho run\n',
  'src/a/b': 'b\n',
  'src/link': '-> ../README',
  // Must have no effect.
  '.gitattributes': '* text eol=crlf ident export-subst filter=evil\nREADME export-ignore\n',
  'src/id': '$Id$ $Format:%H$\n',
};

beforeAll(async () => {
  mkdirSync(at(''), { recursive: true });
  first = repository(at('project'), FILES);
  git(at('project'), 'tag', 'v1');
  git(at('project'), 'tag', '--annotate', '--message', 'x', 'v1-signed');
  server = await serveGit(at(''));
  address = `${server.address}/project`;
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

const TIME = '1492533000';

test('adds the files of a commit as git stores them', async () => {
  const built = await build(store, `FROM base\nADD ${address}#${first} /src/\n`);
  expect(await listing(store, built)).toEqual([
    `directory 755 0:0 ${TIME} src`,
    `file 644 0:0 ${TIME} src/.gitattributes`,
    `file 644 0:0 ${TIME} src/README`,
    `directory 755 0:0 ${TIME} src/bin`,
    `file 755 0:0 ${TIME} src/bin/run`,
    `directory 755 0:0 ${TIME} src/src`,
    `directory 755 0:0 ${TIME} src/src/a`,
    `file 644 0:0 ${TIME} src/src/a/b`,
    `file 644 0:0 ${TIME} src/src/id`,
    `symlink 777 0:0 ${TIME} src/src/link -> ../README`,
  ]);
  const check = await build(
    store,
    `FROM base\nADD ${address}#${first} /src\nRUN cat /src/src/id /src/README | od -c | head -n 3\n`,
  );
  expect(check.log).toMatch(/\$ {3}I {3}d {3}\$ {7}\$ {3}F/);
  expect(check.log).not.toContain(String.raw`\r`);
});

test('does not fetch a known commit again', async () => {
  const other = at('gone');
  const id = repository(other, { file: 'x\n' });
  const from = `${server?.address ?? ''}/gone`;
  const one = await build(store, `FROM base\nADD ${from}#${id} /x/\n`);
  expect(one.ran).toContain(`fetch ${from}#${id}`);
  rmSync(other, { recursive: true });
  const again = await build(store, `FROM base\nADD ${from}#${id} /x/\n`);
  expect(again.descriptor).toEqual(one.descriptor);
  const elsewhere = await build(store, `FROM base\nADD --chown=5 ${from}#${id} /y/\n`);
  expect(elsewhere.ran).not.toContain(`fetch ${from}#${id}`);
  expect(await listing(store, elsewhere)).toEqual([
    `directory 755 5:5 ${TIME} y`,
    `file 644 5:5 ${TIME} y/file`,
  ]);
});

test('adds a directory of a commit, with other modes and without excluded files', async () => {
  const text = `FROM base\nADD --chmod=700 --exclude=id ${address}#${first}:/src/ /d/\n`;
  const built = await build(store, text);
  expect(await listing(store, built)).toEqual([
    `directory 755 0:0 ${TIME} d`,
    `directory 700 0:0 ${TIME} d/a`,
    `file 700 0:0 ${TIME} d/a/b`,
    `symlink 777 0:0 ${TIME} d/link -> ../README`,
  ]);
});

test('treats all forms of an address alike', async () => {
  const { diffIds } = await build(store, `FROM base\nADD ${address}#${first}:src /d/\n`);
  for (const source of [
    `--checksum=${first} ${address}#v1:src`,
    `--checksum=${first} ${address}#v1-signed:src`,
    `--checksum=${first} ${address}#main:src`,
    `${address}?ref=v1&subdir=src&checksum=${first}`,
    `${address}?tag=v1&commit=${first}&subdir=/src/`,
    `${address}?branch=main&checksum=${first}&subdir=src&submodules=false`,
    `${address}?ref=nothing&fetch-by-commit=true&checksum=${first}&subdir=src&mtime=checkout`,
  ]) {
    using place = scratch();
    const built = await build(place.path, `FROM base\nADD ${source} /d/\n`);
    expect(built.diffIds, source).toEqual(diffIds);
  }
  const old = await build(store, `FROM base\nADD ${address}?commit=${first}&mtime=commit /d/\n`);
  expect((await listing(store, old))[1]).toBe('file 644 0:0 1000000000 d/.gitattributes');
});

test('fetches a commit that no branch reaches, also from a server of plain files', async () => {
  const path = at('bare');
  const old = repository(path, { file: 'old\n' });
  commit(path, { file: 'new\n' });
  git(path, 'branch', 'kept', old);
  git(path, 'update-server-info');
  git(path, 'repack', '-adq');
  git(path, 'update-server-info');
  await using files = await serveDumb((name) => {
    try {
      return readFileSync(join(at(''), name));
    } catch {
      return undefined;
    }
  });
  using place = scratch();
  const source = `${files.address}/bare/.git#${old}`;
  const built = await build(place.path, `FROM base\nADD ${source} /\n`);
  expect(await listing(place.path, built)).toEqual([`file 644 0:0 ${TIME} file`]);
  const unborn = `${files.address}/bare/.git#${'1'.repeat(40)}`;
  await expect(build(place.path, `FROM base\nADD ${unborn} /\n`)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining('cannot fetch the commit') as string,
  });
});

test('fetches a repository that uses SHA-256', async () => {
  const id = repository(at('long'), { file: 'x\n' }, 'sha256');
  const source = `${server?.address ?? ''}/long#${id}`;
  const built = await build(store, `FROM base\nADD ${source} /\n`);
  expect(await listing(store, built)).toEqual([`file 644 0:0 ${TIME} file`]);
});

test('fetches submodules at the commit that the repository names', async () => {
  const inner = repository(at('inner'), { deep: 'deep\n' });
  repository(at('middle'), { m: 'm\n' });
  git(at('middle'), 'submodule', '--quiet', 'add', '--name', 'in', at('inner'), 'inner');
  writeFileSync(
    join(at('middle'), '.gitmodules'),
    '[submodule "in"]\n\tpath = inner\n\turl = ../inner\n',
  );
  commit(at('middle'), {});
  repository(at('outer'), { o: 'o\n' });
  git(at('outer'), 'submodule', '--quiet', 'add', at('middle'), 'lib/middle');
  writeFileSync(
    join(at('outer'), '.gitmodules'),
    `[submodule "lib/middle"]\n\tpath = lib/middle\n\turl = ${server?.address ?? ''}/middle\n`,
  );
  const outer = commit(at('outer'), {});
  // A later commit is not used.
  commit(at('inner'), { deep: 'other\n' });
  expect(git(at('inner'), 'rev-parse', 'HEAD~')).toBe(inner);
  const from = `${server?.address ?? ''}/outer`;
  const all = await build(store, `FROM base\nADD ${from}#${outer} /\n`);
  expect((await listing(store, all)).map((line) => line.split(' ').at(-1))).toEqual([
    '.gitmodules',
    'lib',
    'lib/middle',
    'lib/middle/.gitmodules',
    'lib/middle/inner',
    'lib/middle/inner/deep',
    'lib/middle/m',
    'o',
  ]);
  const part = await build(
    store,
    `FROM base\nADD ${from}#${outer}:lib/middle/inner /\nRUN cat deep\n`,
  );
  expect(part.log).toBe('deep\n');
  const none = await build(store, `FROM base\nADD ${from}?commit=${outer}&submodules=0 /\n`);
  expect((await listing(store, none)).map((line) => line.split(' ').at(-1))).toEqual([
    '.gitmodules',
    'lib',
    'lib/middle',
    'o',
  ]);
});

test.each([
  ['file:///etc', 'UNSUPPORTED', 'is not a network URL'],
  ['ext::sh -c id', 'UNSUPPORTED', 'is not a network URL'],
  ['--upload-pack=id', 'UNSUPPORTED', 'is not a network URL'],
  ['../../../../x', 'UNSUPPORTED', 'leads out of'],
])('does not fetch a submodule at %s', async (url, code, message) => {
  const path = at(`bad-${Buffer.from(url).toString('hex').slice(0, 16)}`);
  repository(path, { '.gitmodules': `[submodule "s"]\n\tpath = s\n\turl = ${url}\n` });
  git(path, 'update-index', '--add', '--cacheinfo', `160000,${first},s`);
  git(path, 'commit', '--quiet', '--message', 'x');
  const id = git(path, 'rev-parse', 'HEAD');
  const source = `${server?.address ?? ''}/${path.split('/').at(-1) ?? ''}#${id}`;
  await expect(build(store, `FROM base\nADD ${source} /\n`)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(new RegExp(`^Dockerfile:2:5: .*${message}`)) as string,
    fix: expect.anything() as string,
  });
});

test.each([
  ['', '', 'PIN_MISSING', /no commit is given for git:/],
  ['', '#v1', 'PIN_MISSING', /no commit is given for v1 of/],
  ['', '#abcdef0', 'PIN_MISSING', /no commit is given/],
  ['', `?checksum=abcdef0`, 'DOCKERFILE_INVALID', /"abcdef0" is not a commit/],
  [`--checksum=sha256:${'0'.repeat(64)}`, '#v1', 'DOCKERFILE_INVALID', /is not a commit/],
  [`--checksum=${'0'.repeat(40)}`, `#${'1'.repeat(40)}`, 'DOCKERFILE_INVALID', /two commits/],
  [`--checksum=${'0'.repeat(40)}`, '#v1', 'DIGEST_MISMATCH', /v1 of .* is [0-9a-f]{40}, not 0000/],
  [`--checksum=${'0'.repeat(40)}`, '#v9', 'NOT_FOUND', /has no branch or tag v9/],
  [
    `--checksum=${'0'.repeat(40)}`,
    '#--upload-pack=x',
    'DOCKERFILE_INVALID',
    /is not a valid branch/,
  ],
  [`--checksum=${'0'.repeat(40)}`, '?ref=a:b', 'DOCKERFILE_INVALID', /is not a valid branch/],
  ['', `?commit=${'0'.repeat(40)}&depth=1`, 'DOCKERFILE_INVALID', /unknown parameter depth/],
  ['--keep-git-dir', `#${'0'.repeat(40)}`, 'UNSUPPORTED', /.git directory cannot be kept/],
  ['', `?commit=${'0'.repeat(40)}&keep-git-dir`, 'UNSUPPORTED', /.git directory cannot be kept/],
])('rejects ADD %s …%s', async (flags, rest, code, message) => {
  await expect(
    build(store, `FROM base\nADD ${flags} ${address}${rest} /x/\n`),
  ).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
    fix: expect.anything() as string,
  });
});

test('rejects a missing directory, a file and a link as the directory of a commit', async () => {
  for (const name of ['none', 'README', 'src/link', 'src/a/b/c']) {
    await expect(
      build(store, `FROM base\nADD ${address}#${first}:${name} /x/\n`),
      name,
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
  // `..` does not leave the root.
  const built = await build(store, `FROM base\nADD ${address}#${first}:../../bin /x/\n`);
  expect((await listing(store, built)).at(-1)).toContain('x/run');
});

test('rejects a tag, and names its commit', async () => {
  const tag = git(at('project'), 'rev-parse', 'v1-signed');
  await expect(build(store, `FROM base\nADD ${address}#${tag} /x/\n`)).rejects.toMatchObject({
    code: 'DOCKERFILE_INVALID',
    fix: `write the commit it points to: ${first}`,
  });
});

test.each(['../out', '.git', '.GIT', '..'])('rejects a tree with the name %s', async (name) => {
  const path = at(`tree-${Buffer.from(name).toString('hex')}`);
  repository(path, { file: 'x\n' });
  const blob = git(path, 'rev-parse', 'HEAD:file');
  const raw = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')]);
  writeFileSync(join(directory.path, 'raw'), raw);
  const object = join(directory.path, 'raw');
  const tree = git(path, 'hash-object', '-t', 'tree', '--literally', '-w', object);
  const id = git(path, 'commit-tree', '-m', 'x', tree);
  git(path, 'update-ref', 'refs/heads/main', id);
  const source = `${server?.address ?? ''}/${path.split('/').at(-1) ?? ''}#${id}`;
  await expect(build(store, `FROM base\nADD ${source} /\n`)).rejects.toMatchObject({
    code: expect.stringMatching(/IMAGE_INVALID|GIT_FAILED/) as string,
  });
});
