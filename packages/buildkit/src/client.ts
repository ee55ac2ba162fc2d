import { spawn } from 'node:child_process';
import { isErrno, LktError } from '@lkt/core';
import type { Builder } from './address.ts';
import { builderError } from './client-error.ts';
import type { BuildProgress } from './progress.ts';

/** The time for a program to cancel a build before it is killed. */
const GRACE_MS = 10_000;

/**
 * Runs the client program in a directory. The program has exited when this returns or throws, and
 * BuildKit cancels the build of a client that exits early.
 * @returns whether it succeeded; if not, `progress` has the failed step
 * @throws TOOL_MISSING if the program is missing or too old
 * @throws NETWORK_FAILED if no builder answers at the address
 * @throws HOST_UNSUPPORTED if the builder lacks a feature
 */
export async function runClient(
  builder: Builder,
  [program = '', ...words]: readonly string[],
  options: {
    readonly cwd: string;
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly progress: BuildProgress;
    readonly signal: AbortSignal | undefined;
  },
): Promise<boolean> {
  const { cwd, environment, progress, signal } = options;
  // Loaded late, because local builds do not need it.
  const { createInterface } = await import('node:readline');
  signal?.throwIfAborted();
  // A process group of its own: Ctrl-C reaches only lkt, and docker's plugins end with docker.
  const child = spawn(program, words, {
    cwd,
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const kill = (by: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, by);
  };
  let killer: NodeJS.Timeout | undefined;
  let succeeded = false;
  const stop = (): void => {
    kill('SIGTERM');
    killer = setTimeout(() => kill('SIGKILL'), GRACE_MS);
  };
  signal?.addEventListener('abort', stop);
  try {
    const lines = createInterface({ input: child.stderr });
    const ended = new Promise<boolean>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code === 0));
    });
    const read = async (): Promise<void> => {
      for await (const line of lines) progress.line(line);
    };
    [succeeded] = await Promise.all([ended, read()]);
    signal?.throwIfAborted();
    if (!succeeded && progress.failed === undefined) throw builderError(builder, progress.messages);
    return succeeded;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw missingProgram(program, error);
  } finally {
    kill('SIGKILL');
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
    progress.end(succeeded);
  }
}

function missingProgram(program: string, cause: unknown): LktError {
  return new LktError('TOOL_MISSING', `${program} is not installed`, {
    cause,
    fix:
      program === 'docker'
        ? 'sudo apt-get install docker-cli docker-buildx'
        : 'put buildctl from a BuildKit release (github.com/moby/buildkit) on the PATH, or use --builder buildx:NAME after sudo apt-get install docker-cli docker-buildx',
  });
}
