import { type ChildProcess, execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { descendants, freePort, startLkt } from './lkt.ts';

/** A machine that `lkt run` has started, seen from outside. */
export interface Guest extends AsyncDisposable {
  /** Everything the serial console has said so far. */
  console(): string;
  /** Types on the serial console. */
  type(text: string): void;
  /** Resolves when the console has said `text`; fails when the machine ends or ten minutes go by without it. */
  until(text: string): Promise<void>;
  /** The port of the loopback interface that leads to port 22 of the guest. */
  readonly port: number;
}

export async function boot(prefix: string, args: readonly string[] = []): Promise<Guest> {
  const port = await freePort();
  const child = startLkt(['run', prefix, '--publish', `127.0.0.1:${port}:22`, ...args]);
  let log = '';
  const collect = (chunk: Buffer): void => {
    log += chunk.toString('latin1');
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  return {
    port,
    console: () => log,
    type: (text) => child.stdin?.write(text),
    until: async (text) => waitFor(child, () => log, text),
    [Symbol.asyncDispose]: async () => stop(child),
  };
}

async function waitFor(child: ChildProcess, log: () => string, text: string): Promise<void> {
  const end = Date.now() + 600_000;
  while (!log().includes(text)) {
    if (child.exitCode !== null || Date.now() > end)
      throw new Error(`the console never said ${JSON.stringify(text)}:\n${log().slice(-4000)}`);
    await sleep(100);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const closed = new Promise((resolve) => child.on('close', resolve));
  const family = descendants(child.pid);
  child.kill('SIGTERM');
  const ended = await Promise.race([closed.then(() => true), sleep(10_000).then(() => false)]);
  if (ended) return;
  for (const pid of family.toReversed()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  await closed;
}

/** A home directory with a fresh ssh key in it. */
export function makeHome(dir: string): string {
  mkdirSync(join(dir, '.ssh'), { recursive: true, mode: 0o700 });
  const key = join(dir, '.ssh/id_ed25519');
  const done = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', key], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`ssh-keygen: ${done.error?.message ?? done.stderr}`);
  readFileSync(`${key}.pub`);
  return dir;
}

export interface SshResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command as root in the guest, with the key of `home` or, for `key: false`, with none. */
export function ssh(
  port: number,
  home: string,
  command: string,
  options: readonly string[] = [],
): SshResult {
  const { words, env } = sshCommand(port, home, command, options);
  const done = spawnSync('ssh', words, { encoding: 'utf8', timeout: 120_000, env });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

/**
 * What a command as root in the guest has printed. While it runs the console is read, which {@link ssh} keeps waiting.
 *
 * Fails when the command does, or takes five minutes.
 */
export async function sshOutput(
  port: number,
  home: string,
  command: string,
  options: readonly string[] = [],
): Promise<string> {
  const { words, env } = sshCommand(port, home, command, options);
  const bounds = { env, timeout: 300_000, maxBuffer: 2 ** 24 };
  const { stdout } = await promisify(execFile)('ssh', words, bounds);
  return stdout;
}

function sshCommand(
  port: number,
  home: string,
  command: string,
  options: readonly string[] = [],
): { words: string[]; env: NodeJS.ProcessEnv } {
  const config = join(home, '.ssh/config.test');
  writeFileSync(
    config,
    'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nBatchMode yes\nConnectTimeout 20\nLogLevel ERROR\n',
  );
  const key = options.includes('PubkeyAuthentication=no')
    ? []
    : ['-i', join(home, '.ssh/id_ed25519'), '-o', 'IdentitiesOnly=yes'];
  const more = options.flatMap((o) => ['-o', o]);
  const words = ['-F', config, '-p', String(port), ...key, ...more, 'root@127.0.0.1', command];
  return { words, env: { PATH: process.env['PATH'], HOME: home } };
}

/** The first bytes a server says on a port, or undefined when it says nothing within `ms`. */
export async function banner(port: number, ms = 3000): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (value: string | undefined): void => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(ms, () => done(undefined));
    socket.on('error', () => done(undefined));
    socket.on('close', () => resolve(undefined));
    socket.on('data', (data) => done(data.toString('latin1')));
  });
}
