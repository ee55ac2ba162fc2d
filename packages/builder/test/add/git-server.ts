import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const IDENTITY = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_AUTHOR_DATE: '1000000000 +0000',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
  GIT_COMMITTER_DATE: '1000000000 +0000',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
};

/** Runs git in a repository, without the machine's configuration. */
export function git(cwd: string, ...args: readonly string[]): string {
  const env = { PATH: '/usr/bin:/bin', ...IDENTITY };
  return execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], {
    cwd,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

/**
 * Makes a repository with one commit of files. A content that begins with `#!` makes a program, one
 * with `-> ` a link.
 */
export function repository(
  path: string,
  files: Readonly<Record<string, string>>,
  format: 'sha1' | 'sha256' = 'sha1',
): string {
  mkdirSync(path, { recursive: true });
  git(path, 'init', '--quiet', '--initial-branch=main', `--object-format=${format}`);
  return commit(path, files);
}

export function commit(path: string, files: Readonly<Record<string, string>>): string {
  for (const [name, content] of Object.entries(files)) {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), file);
    else writeFileSync(file, content);
    if (content.startsWith('#!')) chmodSync(file, 0o755);
  }
  git(path, 'add', '--all');
  git(path, 'commit', '--quiet', '--message', 'x');
  return git(path, 'rev-parse', 'HEAD');
}

/** Serves the repositories of a directory on the loopback interface with git's own protocol. */
export async function serveGit(directory: string): Promise<{ address: string } & AsyncDisposable> {
  const port = await freePort();
  const child = spawn(
    'git',
    [
      ['daemon', '--reuseaddr', '--export-all', '--listen=127.0.0.1', `--port=${port}`],
      [`--base-path=${directory}`, directory],
    ].flat(),
    { stdio: 'ignore', env: { PATH: '/usr/bin:/bin', ...IDENTITY } },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const address = `git://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      git('/', 'ls-remote', `${address}/ready`);
      break;
    } catch (error) {
      // The server listens, but has no such repository.
      if (String((error as { stderr?: unknown }).stderr).includes('remote error')) break;
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  return { address, [Symbol.asyncDispose]: stop };
}

/** Serves bare repositories as plain files, as simple servers do. */
export async function serveDumb(
  read: (path: string) => Buffer | undefined,
): Promise<{ address: string } & AsyncDisposable> {
  const server: Server = createServer((request, response) => {
    const content = read(new URL(request.url ?? '', 'http://localhost').pathname);
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { address, [Symbol.asyncDispose]: stop };
}

async function freePort(): Promise<number> {
  const socket = createSocket();
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address() as AddressInfo;
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
