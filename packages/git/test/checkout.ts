import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtempDisposable,
  realpath,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The environment of git in tests: no configuration except the repository's. */
export const ENV: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
};

const IDENTITY = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
};

/** Returns a temporary directory that is removed after the test. */
export async function temporary(): Promise<AsyncDisposable & { path: string }> {
  const dir = await mkdtempDisposable(join(await realpath(tmpdir()), 'lkt-pkg-'));
  return { path: dir.path, [Symbol.asyncDispose]: () => dir.remove() };
}

export function git(dir: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-C', dir, ...args], {
    env: { ...ENV, ...IDENTITY },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

/** Writes files, by path below `dir`. */
export async function write(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
}

export function commit(dir: string): string {
  git(dir, 'add', '--all');
  git(dir, 'commit', '--quiet', '--allow-empty', '--message', 'work');
  return git(dir, 'rev-parse', 'HEAD');
}

/** Returns a git work tree with one commit of these files. */
export async function checkout(
  files: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { path: string }> {
  const dir = await temporary();
  git(dir.path, 'init', '--quiet', '--initial-branch', 'main');
  await write(dir.path, files);
  commit(dir.path);
  return dir;
}

const FILES = {
  '.gitignore': '*.ignored\n',
  'pkg/a/build.yml': 'image: a\n',
  'pkg/a/sub/deep/ünï': 'f\n',
  'pkg/a/sub.txt': 'sorts between sub and sub/\n',
  'pkg/b/build.yml': 'image: b\n',
};

/** Returns a repository whose files are older than its index. */
export async function settled(): Promise<AsyncDisposable & { path: string }> {
  const repo = await checkout({ other: 'x' });
  await write(repo.path, FILES);
  await symlink('build.yml', join(repo.path, 'pkg/a/link'));
  await chmod(join(repo.path, 'pkg/a/sub.txt'), 0o755);
  for (const path of Object.keys(FILES)) await utimes(join(repo.path, path), 1e9, 1e9);
  await utimes(repo.path, 1e9, 1e9);
  // Waits until the time of the link is over, before the index is written.
  while (Date.now() - (await lstat(join(repo.path, 'pkg/a/link'))).mtimeMs < 50);
  commit(repo.path);
  return repo;
}
