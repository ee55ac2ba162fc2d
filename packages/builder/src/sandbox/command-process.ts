import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Limits } from '../limits.ts';
import { processors } from '../cgroup/processors.ts';
import { makePipe } from '../system/syscalls.ts';
import { hostEnvironment } from '../system/tools.ts';

/** A process that runs the command of a RUN, or waits for one. */
export interface CommandProcess {
  readonly child: ChildProcess;
  /** Descriptor from which its standard output and standard error are read, in their order. */
  readonly output: number;
  /** Its exit status, or the signal that ended it, once all its pipes are closed. */
  readonly ended: Promise<number | string>;
}

/**
 * Starts a program that ends with this process.
 * @param options `extra`: its descriptors from 4 on; numbers are closed here
 */
export function startProcess(
  argv: readonly string[],
  {
    limits,
    extra = [],
  }: {
    readonly limits: Limits;
    readonly extra?: readonly (number | 'pipe')[];
  },
): CommandProcess {
  // One pipe for both keeps their order.
  const output = makePipe();
  // If this process is killed, unshare dies with it, and the namespace's first process with
  // unshare.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...processors(limits), ...argv], {
    stdio: ['ignore', output.write, output.write, 'pipe', ...extra],
    env: hostEnvironment(),
    cwd: '/',
  });
  const ended = new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, by) => resolve(code ?? by ?? 'unknown'));
  });
  // The caller handles a failure; one before the caller waits must not count as unhandled.
  ended.catch(() => undefined);
  for (const descriptor of [output.write, ...extra])
    if (typeof descriptor === 'number') closeSync(descriptor);
  return { child, output: output.read, ended };
}
