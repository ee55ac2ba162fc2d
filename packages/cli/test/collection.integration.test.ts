import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { generateKey, readPublicKey } from '@lkt/sign';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { NpmRegistry, REGISTRY } from '../../../tools/test/release/npm-registry.ts';
import { commit, git, repository, serveGit } from '../../builder/test/add/git-server.ts';
import { main } from './program.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const work = mkdtempSync(join(tmpdir(), 'lkt-collection-'));
const at = (path: string): string => join(work, path);
afterAll(() => rmSync(work, { recursive: true, force: true }));

const env = {
  PATH: process.env['PATH'] ?? '',
  HOME: at('home'),
  LKT_CACHE: at('store'),
  NO_COLOR: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
  npm_config_loglevel: 'error',
  npm_config_update_notifier: 'false',
};

const lock = (version: string, hash: string): string => `# Written by \`lkt pkg lock\`.
suite trixie
architecture amd64
request packages=openssl no-dependencies

openssl ${version} amd64 debian/pool/main/o/openssl/openssl_${version}_amd64.deb 1000 sha256:${hash.repeat(64)}
`;

/** The first version of the collection. */
const FIRST = {
  'pkg/base/build.yml': 'org: they\nimage: base\narches: [amd64]\n',
  'pkg/base/Dockerfile': 'FROM scratch\nCOPY file /base\n',
  'pkg/base/file': 'one',
  'pkg/tool/build.yml':
    'org: they\nimage: tool\narches: [amd64]\nconfig:\n  readonly: true\n  capabilities: []\n',
  'pkg/tool/Dockerfile': 'FROM scratch\nCOPY file /tool\n',
  'pkg/tool/file': 'tool',
  'pkg/old/build.yml': 'org: they\nimage: old\narches: [amd64]\n',
  'pkg/old/Dockerfile': 'FROM scratch\nCOPY Dockerfile /\n',
  'pkg/debs/build.yml':
    'org: they\nimage: debs\narches: [amd64]\ndebian:\n  suite: trixie\n  packages: [openssl]\n  noDependencies: true\n',
  'pkg/debs/debian.lock': lock('3.5.1-1', 'a'),
};

/** The changed files of the second version, which also removes `old`. */
const SECOND = {
  'pkg/base/file': 'two',
  'pkg/tool/build.yml':
    'org: they\nimage: tool\narches: [amd64]\nconfig:\n  readonly: true\n  capabilities: [CAP_NET_RAW]\n',
  'pkg/new/build.yml': 'org: they\nimage: new\narches: [amd64]\n',
  'pkg/new/Dockerfile': 'FROM scratch\nCOPY Dockerfile /\n',
  'pkg/debs/debian.lock': lock('3.5.4-1', 'b'),
};

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

/** Makes a workspace that uses packages of a collection in an image config and a Dockerfile. */
function workspace(dir: string, source: string): void {
  write(dir, {
    'lkt.yml': `org: acme # ours\ncollections:\n  they: {source: ${source}}\n`,
    'images/os.yml': 'init: [they/base, acme/app]\n',
    'pkg/app/build.yml': 'image: app\narches: [amd64]\n',
    'pkg/app/Dockerfile': 'FROM they/tool\nCOPY Dockerfile /app\n',
    '.gitignore': 'node_modules\n/os*\n',
  });
  git(dir, 'init', '--quiet', '--initial-branch=main');
  git(dir, 'add', '--all');
  git(dir, 'commit', '--quiet', '--message', 'one');
}

async function lkt(
  dir: string,
  ...words: readonly string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  try {
    const done = await promisify(execFile)(process.execPath, [main, ...words], { cwd: dir, env });
    return { status: 0, ...done };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

const read = (path: string): string => readFileSync(path, 'utf8');

/** The summary of the second version. */
const CHANGES = `  packages
    new: they/new
    removed: they/old
    changed: they/base
    changed: they/debs
    changed: they/tool
  debian
    openssl  3.5.1-1  3.5.4-1
  privileges
    they/tool: + capabilities[CAP_NET_RAW]
`;

test('builds from a collection in git, and updates it', async () => {
  const theirs = at('git/theirs');
  const first = repository(theirs, FIRST);
  await using server = await serveGit(at('git'));
  const url = `${server.address}/theirs`;
  const mine = at('mine');
  workspace(mine, `git:${url}@${first}`);
  expect(await lkt(mine, 'pin')).toMatchObject({ status: 0 });
  expect(await lkt(mine, 'build', '--format', 'tar', 'images/os.yml')).toMatchObject({ status: 0 });
  // Fetches files again that were changed in the store.
  writeFileSync(at(`store/collections/${first}/files/pkg/base/file`), 'evil');
  expect(await lkt(mine, 'build', '--format', 'tar', 'images/os.yml')).toMatchObject({ status: 0 });
  expect(read(at(`store/collections/${first}/files/pkg/base/file`))).toBe('one');
  expect((await lkt(mine, 'cache', 'du', '--json')).stdout).toContain('"collections"');
  expect(await lkt(mine, 'collection', 'update')).toMatchObject({
    status: 0,
    stdout: `they: git:${url} ${first.slice(0, 12)} is the newest\n`,
  });
  git(theirs, 'rm', '--quiet', '-r', 'pkg/old');
  const second = commit(theirs, SECOND);
  git(mine, 'commit', '--quiet', '--all', '--message', 'pinned');

  expect((await lkt(mine, 'outdated')).stdout).toBe(
    `lkt.yml: they: git:${url} ${first}\n  newer: ${second}\n  update: lkt collection update they\n`,
  );
  expect((await lkt(mine, 'outdated', '--offline')).stdout).toBe('');
  const dry = await lkt(mine, 'collection', 'update', '--dry-run');
  expect(dry.stdout).toBe(
    `they: git:${url} ${first.slice(0, 12)} → ${second.slice(0, 12)}\n${CHANGES}to see what the updates fix: lkt vulns --update\n`,
  );
  expect(git(mine, 'status', '--short')).toBe('');
  const markdown = (await lkt(mine, 'collection', 'update', '--dry-run', '--markdown', '-')).stdout;
  expect(markdown).toContain('| openssl | 3.5.1-1 | 3.5.4-1 |  |');
  expect(markdown).toContain(
    '**Changed privileges**\n\n- they/tool: + capabilities\\[CAP\\_NET\\_RAW\\]',
  );
  const json = await lkt(mine, 'collection', 'update', 'they', '--dry-run', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    isDryRun: true,
    collections: [
      {
        name: 'they',
        source: `git:${url}`,
        from: first,
        to: second,
        added: ['they/new'],
        removed: ['they/old'],
        changed: ['they/base', 'they/debs', 'they/tool'],
        debian: [
          { source: 'openssl', from: '3.5.1-1', to: '3.5.4-1', locks: ['they/debs/debian.lock'] },
        ],
        privileges: [{ package: 'they/tool' }],
      },
    ],
    pins: [],
  });

  const done = await lkt(mine, 'collection', 'update');
  expect(done.stdout).toContain(`${CHANGES}pins\n`);
  expect(read(join(mine, 'lkt.yml'))).toBe(
    `org: acme # ours\ncollections:\n  they: {source: git:${url}@${second}}\n`,
  );
  expect(git(mine, 'diff', '--name-only')).toBe('images/os.yml\nlkt.yml\npkg/app/Dockerfile');
  expect(await lkt(mine, 'pin', '--check')).toMatchObject({ status: 0 });
  expect(await lkt(mine, 'build', '--format', 'tar', 'images/os.yml')).toMatchObject({ status: 0 });

  // Back to a named commit; and to a tag that does not exist.
  const back = await lkt(mine, 'collection', 'update', 'they', '--to', first);
  expect(back.stdout).toContain('removed: they/new');
  expect(read(join(mine, 'lkt.yml'))).toContain(`@${first}`);
  expect((await lkt(mine, 'collection', 'update', 'they', '--to', 'v9')).stderr).toBe(
    `error: ${url} has no branch or tag v9\n  fix: list them with: git ls-remote\n`,
  );
  git(theirs, 'tag', '-a', '-m', 'x', 'v2');
  const tagged = await lkt(mine, 'collection', 'update', 'they', '--to', 'v2', '--dry-run');
  expect(tagged.stdout).toContain(`→ ${second.slice(0, 12)}`);

  // Who signs is a change, too; a key by its content, whatever its file is called.
  const [one, other] = [await generateKey(''), await generateKey('')];
  const trust = "signers: [{images: ['they/*'], keys: [keys/a.pub]}]\n";
  const signed = commit(theirs, { 'trust.yml': trust, 'keys/a.pub': one.publicKey });
  const fingerprints = await Promise.all(
    [one, other].map(async ({ publicKey }) => (await readPublicKey(publicKey)).fingerprint),
  );
  const [first1 = '', second1 = ''] = fingerprints.map(
    (fingerprint) => `they/*: signed by 1 of the key ${fingerprint}`,
  );
  const added = await lkt(mine, 'collection', 'update', '--dry-run');
  expect(added.stdout).toContain(`  policy\n    new: ${first1}\n`);
  await lkt(mine, 'collection', 'update', 'they', '--to', signed);
  git(mine, 'commit', '--quiet', '--all', '--message', 'with a policy');
  commit(theirs, { 'keys/a.pub': other.publicKey });
  const replaced = await lkt(mine, 'collection', 'update', '--dry-run', '--markdown', '-');
  expect(replaced.stdout).toContain(
    `**Changed policy**\n\n- removed: ${first1.replace('*', '\\*')}\n- new: ${second1.replace('*', '\\*')}\n`,
  );

  // A build that fails leaves everything as it was.
  commit(theirs, { 'pkg/base/Dockerfile': 'FROM scratch\nCOPY absent /\n' });
  const failed = await lkt(mine, 'collection', 'update');
  expect(failed).toMatchObject({ status: 1, stdout: '' });
  expect(failed.stderr).toContain('absent');
  expect(git(mine, 'status', '--short')).toBe('');
});

test('reports what is wrong with a collection in git', async () => {
  const theirs = at('wrong/theirs');
  repository(theirs, FIRST);
  await using server = await serveGit(at('wrong'));
  const url = `${server.address}/theirs`;
  const mine = at('wrong-mine');
  workspace(mine, `git:${url}@${'0'.repeat(40)}`);
  const absent = await lkt(mine, 'pin');
  expect(absent.status).toBe(1);
  expect(absent.stderr).toMatch(/^error: .*0{40}/m);
  write(mine, {
    'lkt.yml': `org: acme\ncollections:\n  they: {source: "git:file://${theirs}@${'1'.repeat(40)}"}\n`,
  });
  expect((await lkt(mine, 'pin')).stderr).toMatch(
    /^error: .*(?:transport 'file' not allowed|file)/m,
  );
});

test.each([
  [['they', '--to', '1'], '', 'lkt.yml has no collections'],
  [['--to', '1'], 'collections: {they: {source: "path:."}}', '--to needs the name of a collection'],
  [['other'], 'collections: {they: {source: "path:../git"}}', 'lkt.yml has no collection other'],
  [
    ['--markdown', '-', '--json'],
    'collections: {they: {source: "path:../git"}}',
    '--json and --markdown - both need standard output',
  ],
])('rejects %j', async (words, text, message) => {
  const dir = mkdtempSync(join(work, 'bad-'));
  mkdirSync(at('git'), { recursive: true });
  write(dir, { 'lkt.yml': `${text}\n` });
  const { status, stdout, stderr } = await lkt(dir, 'collection', 'update', ...words);
  expect(stdout + stderr).toContain(message);
  expect(status).not.toBe(0);
});

test('leaves a directory to its owner', async () => {
  const dir = mkdtempSync(join(work, 'path-'));
  write(dir, { 'lkt.yml': 'collections: {they: {source: "path:they"}}\n', 'they/lkt.yml': '' });
  expect((await lkt(dir, 'collection', 'update')).stdout).toBe(
    'they: path:they has no versions; update the directory\n',
  );
  write(dir, { 'lkt.yml': 'collections: {they: {source: "npm:they"}}\n' });
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync('../they', join(dir, 'node_modules/they'));
  expect((await lkt(dir, 'collection', 'update')).stdout).toBe(
    'they: npm:they has no versions; update the directory\n',
  );
});

let registry: NpmRegistry;
const inside = (cwd: string, program: string, ...words: readonly string[]): string =>
  registry.run(env, cwd, program, ...words);
const updated = (cwd: string, ...words: readonly string[]): string =>
  inside(cwd, process.execPath, main, 'collection', 'update', ...words);

/** Publishes a version of the collection, with the files of a directory. */
function publish(dir: string, version: string): void {
  write(dir, { 'package.json': JSON.stringify({ name: '@they/packages', version }) });
  inside(dir, 'npm', 'publish', '--access', 'public');
}

beforeAll(async () => {
  const token = `${REGISTRY.slice('http:'.length)}/:_authToken=none\n`;
  write(env.HOME, { '.npmrc': `registry=${REGISTRY}\n${token}` });
  registry = await NpmRegistry.start(at('registry'));
});
afterAll(async () => registry[Symbol.asyncDispose]());

test('updates a collection from npm', async () => {
  const theirs = at('npm-theirs');
  write(theirs, FIRST);
  publish(theirs, '1.0.0');
  const mine = at('npm-mine');
  workspace(mine, 'npm:@they/packages');
  write(mine, { 'package.json': '{"private": true}\n' });
  inside(mine, 'npm', 'install', '--save-dev', '--save-exact', '@they/packages@1.0.0');
  inside(mine, process.execPath, main, 'pin');
  git(mine, 'add', '--all');
  git(mine, 'commit', '--quiet', '--message', 'pinned');
  expect(updated(mine)).toBe('they: npm:@they/packages 1.0.0 is the newest\n');

  rmSync(join(theirs, 'pkg/old'), { recursive: true });
  write(theirs, SECOND);
  publish(theirs, '1.1.0');
  expect(inside(mine, process.execPath, main, 'outdated')).toBe(
    'lkt.yml: they: npm:@they/packages 1.0.0\n  newer: 1.1.0\n  update: lkt collection update they\n',
  );
  const title = 'they: npm:@they/packages 1.0.0 → 1.1.0\n';
  expect(updated(mine, '--dry-run')).toContain(`${title}${CHANGES}`);
  expect(git(mine, 'status', '--short')).toBe('');
  expect(existsSync(join(mine, 'node_modules/@they/packages/pkg/new'))).toBe(false);

  expect(updated(mine)).toContain(`${title}${CHANGES}pins\n`);
  expect(git(mine, 'diff', '--name-only')).toBe(
    'images/os.yml\npackage-lock.json\npackage.json\npkg/app/Dockerfile',
  );
  expect(read(join(mine, 'package.json'))).toContain('"@they/packages":"1.1.0"');
  expect(read(join(mine, 'package-lock.json'))).toMatch(/"version": "1\.1\.0"/);
  expect(existsSync(join(mine, 'node_modules/@they/packages/pkg/new'))).toBe(true);
  inside(mine, process.execPath, main, 'pin', '--check');

  expect(() => updated(mine, 'they', '--to', '7.0.0')).toThrow(
    /npm has no version 7\.0\.0 of @they\/packages\n  fix: list/,
  );
  expect(() => updated(mine, 'they', '--to', '$(x)')).toThrow(/is not a version/);

  // A package that no longer builds.
  git(mine, 'commit', '--quiet', '--all', '--message', 'updated');
  write(theirs, { 'pkg/base/Dockerfile': 'FROM scratch\nCOPY absent /\n' });
  publish(theirs, '1.2.0');
  expect(() => updated(mine)).toThrow(/absent/);
  expect(git(mine, 'status', '--short')).toBe('');
  expect(read(join(mine, 'node_modules/@they/packages/package.json'))).toContain('1.1.0');
});

test('updates a collection from npm that has a collection from npm', async () => {
  const inner = at('npm-inner');
  const publishInner = (version: string): void => {
    write(inner, { 'package.json': JSON.stringify({ name: '@deep/packages', version }) });
    inside(inner, 'npm', 'publish', '--access', 'public');
  };
  write(inner, { 'pkg/deep/build.yml': 'org: deep\nimage: deep\narches: [amd64]\n' });
  write(inner, { 'pkg/deep/Dockerfile': 'FROM scratch\nCOPY build.yml /\n' });
  publishInner('1.0.0');
  const outer = at('npm-outer');
  const publishOuter = (version: string): void => {
    const dependencies = { '@deep/packages': '^1.0.0' };
    write(outer, {
      'package.json': JSON.stringify({ name: '@mid/packages', version, dependencies }),
    });
    inside(outer, 'npm', 'publish', '--access', 'public');
  };
  write(outer, {
    'lkt.yml': 'collections: {deep: {source: "npm:@deep/packages"}}\n',
    'pkg/a/build.yml': 'org: mid\nimage: a\narches: [amd64]\n',
    'pkg/a/Dockerfile': 'FROM scratch\nCOPY build.yml /a\n',
  });
  publishOuter('1.0.0');
  const mine = at('npm-nested');
  write(mine, {
    'lkt.yml': 'collections: {mid: {source: "npm:@mid/packages"}}\n',
    'images/os.yml': 'init: [mid/a, mid/deep/deep]\n',
    'package.json': '{"private": true}\n',
    '.gitignore': 'node_modules\n',
  });
  git(mine, 'init', '--quiet', '--initial-branch=main');
  inside(mine, 'npm', 'install', '--save-dev', '@mid/packages');
  git(mine, 'add', '--all');
  git(mine, 'commit', '--quiet', '--message', 'one');
  write(outer, { 'pkg/b/build.yml': 'org: mid\nimage: b\narches: [amd64]\n' });
  publishOuter('1.1.0');
  rmSync(join(env.HOME, '.npm'), { recursive: true });
  expect(updated(mine)).toContain('    new: mid/b\npins\n  images/os.yml (2)\n');

  // The user's lock file keeps an older version of the inner one than the new one would get alone.
  git(mine, 'commit', '--quiet', '--all', '--message', 'two');
  publishInner('1.1.0');
  publishOuter('1.2.0');
  expect(() => updated(mine)).toThrow(
    /npm installed files of @deep\/packages that differ .*\n  fix: run: npm update @deep\/packages/,
  );
  expect(git(mine, 'status', '--short')).toBe('');
  inside(mine, 'npm', 'update', '@deep/packages');
  expect(updated(mine)).toContain('mid: npm:@mid/packages 1.1.0 → 1.2.0\n');
});

test('lists newer npm packages in the registry of the configuration, and warns without it', async () => {
  const tool = at('npm-tool');
  const mine = at('npm-outdated');
  const publishTool = (version: string): void => {
    write(tool, { 'package.json': JSON.stringify({ name: '@they/tool', version }) });
    inside(tool, 'npm', 'publish', '--access', 'public');
  };
  publishTool('1.0.0');
  write(mine, { 'package.json': '{"private": true}\n', 'lkt.yml': 'org: acme\n' });
  inside(mine, 'npm', 'install', '--save-exact', '@they/tool@1.0.0');
  publishTool('1.1.0');
  git(mine, 'init', '--quiet', '--initial-branch=main');
  expect(inside(mine, process.execPath, main, 'outdated')).toBe(
    'package.json: @they/tool 1.0.0\n  newer: 1.1.0\n  update: npm install @they/tool@1.1.0\n',
  );
  const file = join(mine, 'package.json');
  write(mine, { 'package.json': read(file).replace('1.0.0', '^1.0.0') });
  expect(JSON.parse(inside(mine, process.execPath, main, 'outdated', '--json'))).toMatchObject({
    npm: [{ name: '@they/tool', from: '1.0.0', to: '1.1.0', update: 'npm update @they/tool' }],
    unavailable: [],
  });

  // Outside of the registry's network, and without npm's cache.
  rmSync(join(env.HOME, '.npm'), { recursive: true });
  const alone = await lkt(mine, 'outdated');
  expect(alone).toMatchObject({ status: 0, stdout: '' });
  expect(alone.stderr).toMatch(
    /^warning: npm cannot be asked, so its newer versions are not listed: npm outdated failed: .*ECONNREFUSED/m,
  );
  expect(JSON.parse((await lkt(mine, 'outdated', '--json')).stdout)).toMatchObject({
    npm: [],
    unavailable: [{ source: 'npm' }],
  });
  expect(await lkt(mine, 'outdated', '--offline')).toMatchObject({ status: 0, stderr: '' });
});
