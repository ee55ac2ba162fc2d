import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { descendants, freePort, type Options, startLkt } from './lkt.ts';

/** A machine started by `lkt run`, seen from outside. */
export interface Guest extends AsyncDisposable {
  /** Returns the output on the serial console so far. */
  console(): string;
  /** Types on the serial console. */
  type(text: string): void;
  /**
   * Resolves when the console prints `text`. Fails if the machine ends, or after ten minutes or the
   * given milliseconds.
   */
  until(text: string, limit?: number): Promise<void>;
  /** The loopback port that is forwarded to the guest's port 22. */
  readonly port: number;
}

/** Boots an image, or that of a config. */
export async function boot(
  image: string,
  args: readonly string[] = [],
  options: Options = {},
): Promise<Guest> {
  const port = await freePort();
  const child = startLkt(['run', image, '--publish', `127.0.0.1:${port}:22`, ...args], options);
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
    until: async (text, limit) => waitFor(child, () => log, text, limit),
    [Symbol.asyncDispose]: async () => stop(child),
  };
}

async function waitFor(
  child: ChildProcess,
  log: () => string,
  text: string,
  limit = 600_000,
): Promise<void> {
  const end = Date.now() + limit;
  // A step of PID 1 ends with its time: it has arrived with the end of its line.
  const isStep = text.startsWith('lkt: ');
  const has = (): boolean => {
    const at = log().indexOf(text);
    return at !== -1 && (!isStep || log().includes('\n', at) || child.exitCode !== null);
  };
  while (!has()) {
    if (child.exitCode !== null || Date.now() > end)
      throw new Error(`missing console output ${JSON.stringify(text)}:\n${log().slice(-4000)}`);
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
      // the process has ended
    }
  }
  await closed;
}

/** Makes a home directory with a new ssh key. */
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

/** Runs a command as root in the guest, with the key of `home`. */
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

/** Runs a batch of sftp(1) as root in the guest, with the key of `home`. */
export function sftp(port: number, home: string, batch: string): SshResult {
  const { words, env } = sftpCommand(port, home);
  const done = spawnSync('sftp', words, { encoding: 'utf8', timeout: 120_000, env, input: batch });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

/**
 * Connects sftp(1) as root in the guest until it is disposed of.
 *
 * @throws Error if the server does not answer within two minutes
 */
export async function openSftp(port: number, home: string): Promise<AsyncDisposable> {
  const { words, env } = sftpCommand(port, home);
  const child = spawn('sftp', words, { env, timeout: 120_000 });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin.write('pwd\n');
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  while (!said.includes('Remote working directory')) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`sftp: ${said}`);
    await sleep(50);
  }
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await closed;
    },
  };
}

function sftpCommand(port: number, home: string): { words: string[]; env: NodeJS.ProcessEnv } {
  const { words, env } = sshCommand(port, home, '');
  const destination = words.at(-2) ?? '';
  const options = words.slice(0, -2).map((word) => (word === '-p' ? '-P' : word));
  return { words: ['-b', '-', ...options, destination], env };
}

/**
 * Runs a command as root in the guest and returns its output. Unlike {@link ssh}, it keeps reading
 * the console.
 *
 * @throws Error if the command fails or takes five minutes
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

/**
 * Returns the first bytes that a server sends on a port, or undefined if it sends none within `ms`.
 */
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
