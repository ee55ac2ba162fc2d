import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdtempDisposable,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LktError } from '@lkt/core';
import { showTags, type TagOptions } from '../../src/pins/show-tag.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import { ENV, git } from '../../../git/test/checkout.ts';

const vectors = process.env['LKT_VECTORS'] ?? '';

interface Vector {
  readonly command: string;
  readonly exit: string;
  readonly stdout: string;
  readonly stderr: string;
}

const table = new Map(
  (await readFile(join(vectors, 'hash-vectors.tsv'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', command = '', exit = '', stdout = '', stderr = ''] = line.split('\t');
      return [name, { command, exit, stdout, stderr } satisfies Vector] as const;
    }),
);

let dir: AsyncDisposable & { path: string; remove: () => Promise<void> };
let root: string;

beforeAll(async () => {
  dir = await mkdtempDisposable(join(await realpath(tmpdir()), 'lkt-vectors-'));
  root = join(dir.path, 'hashrepo');
  execFileSync('git', ['clone', '--quiet', join(vectors, 'hash-vectors.bundle'), root], {
    env: ENV,
    stdio: 'ignore',
  });
  await symlink(root, join(dir.path, 'hashlink'));
});

afterAll(() => dir.remove());

/**
 * Changes to the work tree before each command. The vectors do not record them; they were found by
 * comparing hashes.
 */
const STATES: Readonly<Record<string, (() => Promise<unknown>) | undefined>> = {
  'dirty-modified': () => append('pkg/a/two', 'mod\n'),
  'dirty-other-clean': () => append('pkg/a/two', 'mod\n'),
  'dirty-untracked': () => writeFile(join(root, 'pkg/a/zz'), 'new\n'),
  'ignored-only-clean': () => writeFile(join(root, 'pkg/a/x.ignored'), 'x\n'),
  'dirty-symlink-only': () => symlink('two', join(root, 'pkg/a/l')),
  'dirty-many': async () => {
    await append('pkg/b/run.sh', 'mod\n');
    await chmod(join(root, 'pkg/b/run.sh'), 0o644);
    await rm(join(root, 'pkg/b/link'));
    await writeFile(join(root, 'pkg/b/u'), 'u\n');
  },
};

/** Vectors that are not compared, with the reason. */
const DIFFERENT = new Map([
  [
    'tag-badtemplate',
    'LinuxKit makes the tag "<no value>", which no registry accepts; lkt rejects the template',
  ],
  ['via-symlink-top', 'a bug of LinuxKit; lkt returns the tag of the real directory'],
  ['dirty-toplevel', 'the change is unknown'],
  ['no-buildyml', 'both fail, with different messages'],
  ['hash-path-bad', 'both fail, with different messages'],
]);

it.each([...table])('%s', async (name, { command, exit, stdout }) => {
  if (name === 'dirty-toplevel') return;
  git(root, 'reset', '--quiet', '--hard', 'HEAD');
  git(root, 'clean', '--quiet', '-fdx');
  await STATES[name]?.();
  const outcome = await run(name, command);
  if (DIFFERENT.has(name)) {
    if (name === 'via-symlink-top') expect(outcome).toMatch(/^linuxkit\/top:[0-9a-f]{40}$/);
    else expect(outcome).toMatchObject({ code: expect.any(String) });
    return;
  }
  expect(exit).toBe('0');
  expect(outcome).toBe(stdout);
});

it('compares all vectors', () => {
  expect(table.size).toBe(33);
  for (const name of [...DIFFERENT.keys(), ...Object.keys(STATES)])
    expect([...table.keys()]).toContain(name);
});

/** Runs the function behind `lkt pkg show-tag` with the arguments of a `linuxkit pkg show-tag`. */
async function run(name: string, command: string): Promise<string | LktError> {
  const args = command
    .replace(/^linuxkit pkg /, '')
    .replace('sp ace', 'sp\0ace')
    .split(' ')
    .map((arg) => arg.replace('\0', ' '));
  const options: { -readonly [K in keyof TagOptions]: TagOptions[K] } = {};
  const dirs: string[] = [];
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (arg === 'show-tag') continue;
    else if (arg === '--canonical') options.canonical = true;
    else if (arg === '--org') options.org = args.shift();
    else if (arg === '--tag') options.tag = args.shift();
    else if (arg === '--hash') options.hash = args.shift();
    else if (arg === '--hash-commit') options.hashCommit = args.shift();
    else if (arg === '--hash-path') options.hashPath = join(root, args.shift() ?? '');
    else if (arg === '--force-dirty') options.forceDirty = true;
    else if (arg === '--dev') [options.org, options.hash] = [options.org ?? 'peeruser', 'dev'];
    else dirs.push(arg);
  }
  const start = await startOf(name);
  try {
    const workspace = await openWorkspace(start, { env: ENV });
    const packages = await Promise.all(dirs.map((each) => workspace.packageAt(each)));
    return (await showTags(workspace, packages, options)).join(' ');
  } catch (error) {
    return error as LktError;
  }
}

async function startOf(name: string): Promise<string> {
  if (name === 'via-symlink-cwd') return join(dir.path, 'hashlink');
  if (name.startsWith('via-symlink')) return dir.path;
  if (name.startsWith('not-in-git')) {
    const plain = join(dir.path, 'plain');
    execFileSync('mkdir', ['-p', join(plain, 'p')]);
    await writeFile(join(plain, 'p/build.yml'), 'image: ng\n');
    return plain;
  }
  if (name === 'worktree') {
    const tree = join(dir.path, 'tree');
    git(root, 'worktree', 'add', '--quiet', tree, 'HEAD~1');
    return tree;
  }
  return root;
}

async function append(path: string, text: string): Promise<void> {
  await writeFile(join(root, path), text, { flag: 'a' });
}
