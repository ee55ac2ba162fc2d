import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { isErrno, LktError } from '@lkt/core';
import type { Environment } from '../command.ts';
import { algorithmOf } from '../objects.ts';

/** Most bytes that may come from a repository. */
export const MAX_SIZE: number = 16 * 2 ** 30;
/** Most bytes of an answer that is kept in memory. */
const MAX_ANSWER = 64 * 2 ** 20;
const WATCH_MS = 500;

/**
 * What counts in an empty repository of lkt's own, whatever the user's configuration says. How addresses are reached
 * (credential helpers, proxies, `insteadOf`, keys of ssh) stays the user's; what a fetch would start beside is off.
 */
const SETTINGS: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.bigFileThreshold=64m',
  'credential.interactive=false',
  'fetch.recurseSubmodules=false',
  'fetch.writeCommitGraph=false',
  'fetch.prune=false',
  'transfer.bundleURI=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'http.followRedirects=initial',
  // Less than a byte a second for a minute is a server that has gone.
  'http.lowSpeedLimit=1',
  'http.lowSpeedTime=60',
  'protocol.version=2',
];

const KEPT = /^GIT_(CONFIG.*|EXEC_PATH|SSH|SSH_COMMAND|SSH_VARIANT|SSL_.*|PROXY_.*)$/;

/** Git in a repository of one's own, without a work tree. It asks no questions and starts nothing but transports. */
export class BareRepository {
  readonly #directory: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal | undefined;

  /** @param protocols what may be spoken, such as `https`; of submodules too */
  constructor(
    directory: string,
    env: Environment,
    { protocols, signal }: { protocols: readonly string[]; signal?: AbortSignal | undefined },
  ) {
    const kept = Object.entries(env).filter(
      (pair): pair is [string, string] =>
        pair[1] !== undefined && (!pair[0].startsWith('GIT_') || KEPT.test(pair[0])),
    );
    const own = Object.fromEntries(kept);
    this.#directory = directory;
    this.#signal = signal;
    this.#env = {
      ...own,
      LC_ALL: 'C',
      GIT_DIR: directory,
      GIT_ALLOW_PROTOCOL: protocols.join(':'),
      GIT_NO_LAZY_FETCH: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: 'false',
      SSH_ASKPASS: 'false',
      SSH_ASKPASS_REQUIRE: 'never',
      ...(own['GIT_SSH'] === undefined && own['GIT_SSH_COMMAND'] === undefined
        ? { GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=60' }
        : {}),
    };
  }

  /** Makes the repository. @param commit whose length says which hash names its objects */
  async init(commit: string): Promise<void> {
    const format = algorithmOf(commit);
    await this.run(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`]);
  }

  /**
   * What a command answers.
   * @throws LktError TOOL_MISSING, GIT_FAILED with what git said, IO_FAILED for a repository that is too big
   */
  async run(args: readonly string[]): Promise<Buffer> {
    const child = this.start(args);
    child.stdin.end();
    const ended = this.ended(child, args);
    const chunks: Buffer[] = [];
    let size = 0;
    let isTooBig = false;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_ANSWER) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    const watch = setInterval(() => {
      if (packedSize(this.#directory) <= MAX_SIZE) return;
      isTooBig = true;
      child.kill('SIGKILL');
    }, WATCH_MS);
    try {
      await ended;
    } catch (error) {
      if (isTooBig) throw new LktError('GIT_FAILED', 'the repository has more than 16 GiB');
      throw error;
    } finally {
      clearInterval(watch);
    }
    return Buffer.concat(chunks);
  }

  /** A command that is talked to. */
  start(args: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
    const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
    const child = spawn('git', [...settings, ...args], {
      cwd: '/',
      env: this.#env,
      stdio: ['pipe', 'pipe', 'pipe'],
      signal: this.#signal,
    });
    // A command that ends early is told by how it ends.
    child.stdin.on('error', () => undefined);
    return child;
  }

  /** Waits for a command to end well. */
  async ended(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    args: readonly string[],
  ): Promise<void> {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    const exit = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    }).catch((error: unknown) => {
      this.#signal?.throwIfAborted();
      if (!isErrno(error, 'ENOENT')) throw error;
      throw new LktError('TOOL_MISSING', 'git is not installed, and ADD needs it', {
        cause: error,
        fix: 'sudo apt-get install git',
      });
    });
    this.#signal?.throwIfAborted();
    if (exit === 0) return;
    const lines = said.trim().split('\n');
    const main = lines.find((line) => line.startsWith('fatal: ')) ?? lines.at(-1) ?? '';
    throw new LktError(
      'GIT_FAILED',
      `git ${args[0]}: ${main.replace(/^fatal: /, '') || 'failed'}`,
      {
        detail: said.trim(),
      },
    );
  }
}

function packedSize(directory: string): number {
  const packs = join(directory, 'objects', 'pack');
  let size = 0;
  try {
    for (const name of readdirSync(packs))
      size += statSync(join(packs, name), { throwIfNoEntry: false })?.size ?? 0;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return size;
}
