import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { isErrno, LktError } from '@lkt/core';
import { namesIn } from '@lkt/oci/files';
import { collectOutput, type Environment, gitError, variablesOf } from '../command.ts';
import { algorithmOf } from '../objects.ts';

/** Maximum size of a fetched repository. */
export const MAX_REPOSITORY_BYTES: number = 16 * 2 ** 30;
/** The protocols by which lkt fetches. */
export const PROTOCOLS: readonly string[] = ['https', 'http', 'ssh', 'git'];
const SIZE_CHECK_MS = 500;

/**
 * Settings that override the user's configuration in an empty repository of lkt. Access settings
 * (credential helpers, proxies, `insteadOf`, ssh keys) stay the user's; side effects of a fetch are
 * off.
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
  // Aborts if a server sends less than one byte per second for a minute.
  'http.lowSpeedLimit=1',
  'http.lowSpeedTime=60',
  'protocol.version=2',
];

const KEPT_VARIABLES = /^GIT_(CONFIG.*|EXEC_PATH|SSH|SSH_COMMAND|SSH_VARIANT|SSL_.*|PROXY_.*)$/;

/**
 * Runs git in a bare repository of lkt. Git never prompts, and starts no programs except
 * transports.
 */
export class BareRepository {
  readonly #directory: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal | undefined;

  /** @param protocols allowed protocols such as `https`, also for submodules */
  constructor(
    directory: string,
    env: Environment,
    { protocols, signal }: { protocols: readonly string[]; signal?: AbortSignal | undefined },
  ) {
    const own = variablesOf(env, KEPT_VARIABLES);
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

  /**
   * Creates the repository.
   * @param commit a commit id, whose length selects the hash algorithm
   */
  async init(commit: string): Promise<void> {
    const format = algorithmOf(commit);
    await this.run(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`]);
  }

  /**
   * Runs a command and returns its output.
   * @throws TOOL_MISSING if git is not installed
   * @throws GIT_FAILED with git's error message, or if the repository grows over 16 GiB
   */
  async run(args: readonly string[]): Promise<Buffer> {
    const child = this.start(args);
    child.stdin.end();
    let isTooBig = false;
    const watch = setInterval(() => {
      if (packedSize(this.#directory) <= MAX_REPOSITORY_BYTES) return;
      isTooBig = true;
      child.kill('SIGKILL');
    }, SIZE_CHECK_MS);
    try {
      const exited = this.exited(child, args);
      return (await Promise.all([collectOutput(child.stdout), exited]))[0];
    } catch (error) {
      if (isTooBig) throw new LktError('GIT_FAILED', 'the repository has more than 16 GiB');
      throw error;
    } finally {
      clearInterval(watch);
    }
  }

  /** Starts a command with open stdin and stdout. */
  start(args: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
    const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
    const child = spawn('git', [...settings, ...args], {
      cwd: '/',
      env: this.#env,
      stdio: ['pipe', 'pipe', 'pipe'],
      signal: this.#signal,
    });
    // Ignores EPIPE: `exited` reports a command that ends early.
    child.stdin.on('error', () => undefined);
    return child;
  }

  /**
   * Waits until a command exits.
   * @throws TOOL_MISSING if git is not installed
   * @throws GIT_FAILED with git's error message for an exit code other than 0
   */
  async exited(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    args: readonly string[],
  ): Promise<void> {
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-4000);
    });
    const [exit] = await once(child, 'close').catch((error: unknown) => {
      this.#signal?.throwIfAborted();
      if (!isErrno(error, 'ENOENT')) throw error;
      throw new LktError('TOOL_MISSING', 'git is not installed, and ADD needs it', {
        cause: error,
        fix: 'sudo apt-get install git',
      });
    });
    this.#signal?.throwIfAborted();
    if (exit !== 0) throw gitError(args, stderr);
  }
}

function packedSize(directory: string): number {
  const packs = join(directory, 'objects', 'pack');
  let size = 0;
  for (const name of namesIn(packs))
    size += statSync(join(packs, name), { throwIfNoEntry: false })?.size ?? 0;
  return size;
}
