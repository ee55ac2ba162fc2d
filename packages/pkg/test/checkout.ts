import { execFileSync } from 'node:child_process';
import { mkdir, mkdtempDisposable, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The environment of git in tests: no configuration but the repository's. */
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

/** A directory that goes away with the test. */
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

/** A git work tree with one commit of these files. */
export async function checkout(
  files: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { path: string }> {
  const dir = await temporary();
  git(dir.path, 'init', '--quiet', '--initial-branch', 'main');
  await write(dir.path, files);
  commit(dir.path);
  return dir;
}
