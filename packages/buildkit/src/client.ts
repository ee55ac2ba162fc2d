import { spawn } from 'node:child_process';
import { isErrno, LktError } from '@lkt/core';
import type { Builder } from './address.ts';
import { builderError } from './client-error.ts';
import type { BuildProgress } from './progress.ts';

/** How long a program may take to cancel a build before it is killed. */
const GRACE_MS = 10_000;

/**
 * Runs the program that has BuildKit build, in a directory. When this returns or throws, the program has ended, and
 * BuildKit cancels what it does for one that has.
 * @throws LktError TOOL_MISSING, NETWORK_FAILED (no builder at the address), HOST_UNSUPPORTED (one that cannot do it)
 * @returns whether it succeeded; when not, `progress` has the step that failed
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
  // Loads much, and who builds on this machine does without.
  const { createInterface } = await import('node:readline');
  signal?.throwIfAborted();
  // A process group of its own: Ctrl-C reaches this process alone, and docker's plugins end with docker.
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
    if (!succeeded && progress.failed === undefined)
      throw builderError(builder, progress.complaint);
    return succeeded;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw missing(program, error);
  } finally {
    kill('SIGKILL');
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
    progress.end(succeeded);
  }
}

function missing(program: string, cause: unknown): LktError {
  return program === 'docker'
    ? new LktError('TOOL_MISSING', 'docker is not installed', {
        cause,
        fix: 'sudo apt-get install docker-cli docker-buildx',
      })
    : new LktError('TOOL_MISSING', 'buildctl is not installed', {
        cause,
        fix: 'put buildctl of a release of BuildKit (github.com/moby/buildkit) on the PATH, or take --builder buildx:NAME after sudo apt-get install docker-cli docker-buildx',
      });
}
