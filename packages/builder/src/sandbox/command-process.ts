import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Limits } from '../limits.ts';
import { processors } from '../cgroup/processors.ts';
import { makePipe } from '../system/syscalls.ts';
import { hostEnvironment } from '../system/tools.ts';

/** A process that runs the command of a RUN, or waits for one. */
export interface CommandProcess {
  readonly child: ChildProcess;
  /** Where what it says can be read: standard output and standard error, in their order. */
  readonly output: number;
  /** Its exit status or the signal that ended it, once all its pipes are closed. */
  readonly ended: Promise<number | string>;
}

/**
 * Starts a program that ends with this process.
 * @param options `store`: its directory. `extra`: what it gets as descriptors from 4; open files are closed here.
 */
export function startProcess(
  argv: readonly string[],
  {
    store,
    limits,
    extra = [],
  }: {
    readonly store: string;
    readonly limits: Limits;
    readonly extra?: readonly (number | 'pipe')[];
  },
): CommandProcess {
  // One pipe for both keeps the order of what is said.
  const output = makePipe();
  // Whoever kills this process kills all of it: unshare dies with it, the namespace's first process with unshare.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...processors(limits), ...argv], {
    stdio: ['ignore', output.write, output.write, 'pipe', ...extra],
    env: hostEnvironment(store),
    cwd: '/',
  });
  const ended = new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, by) => resolve(code ?? by ?? 'unknown'));
  });
  // Whoever waits for it is told; it may fail before anybody does.
  ended.catch(() => undefined);
  for (const descriptor of [output.write, ...extra])
    if (typeof descriptor === 'number') closeSync(descriptor);
  return { child, output: output.read, ended };
}
