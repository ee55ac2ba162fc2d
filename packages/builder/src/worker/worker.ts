/**
 * The worker process: root in a mount namespace of its own. It reads a setup and jobs on standard
 * input, and writes messages on descriptor 3, a line of JSON each. Started by worker-process.ts.
 */
import { readdirSync, writeSync } from 'node:fs';
import type { ProgressEvent } from '@lkt/core';
import { isErrno, LktError } from '@lkt/core/errors';
import { applyMemoryPolicy } from '@lkt/core/memory';
import { ioError } from '@lkt/core/io-error';
import { Cgroups } from '../cgroup/cgroup.ts';
import { Inits } from '../sandbox/inits.ts';
import { linesOf } from './lines.ts';
import { SystemCallError } from '../system/c-library.ts';
import { exitNow, keepOpen, prctl } from '../system/syscalls.ts';
import type { WorkerMessage, WorkerSetup } from './worker-protocol.ts';

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

const abort = new AbortController();
process.on('SIGTERM', () => abort.abort(new LktError('INTERRUPTED', 'the build was interrupted')));

void main();

async function main(): Promise<never> {
  const lines = linesOf(process.stdin);
  const setup = JSON.parse((await lines.next()).value ?? 'null') as WorkerSetup;
  applyMemoryPolicy('stream');
  // If the parent ends, this process is killed, and all of its children.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (process.ppid !== setup.parent) process.exit(1);
  process.umask(0o022);
  keepDescriptors();
  try {
    await build(setup, lines);
  } catch (error) {
    const known = hostError(error);
    if (known instanceof LktError) {
      const { code, message, fix, detail } = known;
      const cause = known.cause instanceof Error ? known.cause.message : undefined;
      say({ kind: 'error', code, message, fix, detail, cause });
    } else {
      say({ kind: 'crash', stack: error instanceof Error ? (error.stack ?? '') : String(error) });
    }
  }
  // Skips Node's cleanup.
  process.once('exit', () => exitNow(0));
  process.exit(0);
}

/**
 * Keeps all descriptors from commands, also those that lkt's caller left open. They lead out of the
 * sandbox: /proc/self/fd/100 could be a working directory or a program.
 */
function keepDescriptors(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (Number(name) > 2) keepOpen(Number(name), false);
    } catch (error) {
      // The descriptor that the directory was read with.
      if (!(error instanceof SystemCallError) || error.code !== 'EBADF') throw error;
    }
  }
}

async function build(setup: WorkerSetup, lines: AsyncIterator<string, undefined>): Promise<void> {
  const { limits, executor, expectsRun } = setup;
  const groups = new Cgroups();
  const inits = new Inits({ limits, groups });
  try {
    // The init starts while the modules of the builder load, which takes as long.
    if (executor === 'init' && expectsRun === true) inits.expect(1);
    const { runJobs } = await import('./run-jobs.ts');
    const emit = (event: ProgressEvent): void => say({ kind: 'event', event });
    await runJobs(setup, { groups, inits, signal: abort.signal, emit }, lines, (results) =>
      say({ kind: 'result', ...results }),
    );
  } finally {
    await inits.close();
    await groups.close();
  }
}

/** Converts errors of the store's file system to errors for the user; returns others unchanged. */
function hostError(error: unknown): unknown {
  // Its message repeats a path of thousands of characters.
  if (isErrno(error, 'ENAMETOOLONG'))
    return new LktError('BUILD_FAILED', 'the path of a file is too long for this machine', {
      fix: 'make directories less deep, or use a store with a shorter path: --cache DIR',
    });
  return isErrno(error, ...HOST_FAILURES) ? ioError('cannot build in the store', error) : error;
}

const HOST_FAILURES: readonly string[] = [
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EIO',
  'EACCES',
  'EMFILE',
  'ENFILE',
];

function say(message: WorkerMessage): void {
  const data = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let done = 0; done < data.length;) {
    try {
      done += writeSync(3, data, done);
    } catch (error) {
      // The pipe is full and does not block.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
