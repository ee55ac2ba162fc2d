import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { isErrno, LktError, type Reporter } from '@lkt/core';
import { type Namespace, namespaceError } from './namespace.ts';
import { hostEnvironment } from './tools.ts';
import type { BuildOutcome, WorkerMessage, WorkerRequest } from './worker-protocol.ts';

/** A small nursery: layers stream through in chunks, which a large one would let pile up. */
const NODE_FLAGS = ['--no-warnings', '--max-semi-space-size=1'];

/** How long a worker may take to stop before it is killed. */
const GRACE_MS = 10_000;

/**
 * Has a worker do a job. When this returns or throws, the worker, what it ran and what it mounted are gone. Should this
 * process be killed, they go with it.
 */
export async function runWorker(
  request: Omit<WorkerRequest, 'parent' | 'owner' | 'isRoot' | 'hasUsers'>,
  namespace: Namespace,
  { reporter, signal, uid }: { reporter: Reporter; signal?: AbortSignal; uid: number },
): Promise<BuildOutcome> {
  signal?.throwIfAborted();
  const script = fileURLToPath(new URL('worker.ts', import.meta.url));
  const [program = '', ...flags] = namespace.argv;
  // In a process group of its own, so that Ctrl-C reaches this process alone, which then stops the worker in order.
  const child = spawn(program, [...flags, '--', process.execPath, ...NODE_FLAGS, script], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    env: { ...hostEnvironment(request.store), ...request.job.world?.environment },
    cwd: '/',
    detached: true,
  });
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  signal?.addEventListener('abort', stop);
  try {
    const [stdin, , stderr, messages] = child.stdio as unknown as [
      Writable,
      null,
      Readable,
      Readable,
    ];
    stdin.on('error', () => undefined);
    const { owner, isRoot, hasUsers } = namespace;
    stdin.end(
      JSON.stringify({
        ...request,
        parent: process.pid,
        owner,
        isRoot,
        hasUsers,
      } satisfies WorkerRequest),
    );
    let complaint = '';
    stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-8192);
    });
    let last: Exclude<WorkerMessage, { kind: 'event' }> | undefined;
    const lines = createInterface({ input: messages });
    lines.on('line', (line) => {
      const message = JSON.parse(line) as WorkerMessage;
      if (message.kind === 'event') reporter.emit(message.event);
      else last = message;
    });
    const [status] = await Promise.all([
      new Promise<string>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code, by) => resolve(by ?? String(code)));
      }),
      new Promise((resolve) => lines.on('close', resolve)),
    ]);
    signal?.throwIfAborted();
    if (last === undefined) {
      if (complaint.startsWith('unshare:')) throw namespaceError(uid, complaint.trim());
      if (status === 'SIGKILL') {
        throw new LktError('BUILD_FAILED', 'the process of the build was killed', {
          fix: 'see whether the machine was out of memory, and build again',
        });
      }
      throw new Error(`the worker of the build ended (${status}) without a result: ${complaint}`);
    }
    if (last.kind === 'result') return last;
    if (last.kind === 'crash') throw new Error(`the worker of the build crashed: ${last.stack}`);
    const { code, message, fix, detail, cause } = last;
    throw new LktError(code, message, {
      ...(cause === undefined ? {} : { cause: new Error(cause) }),
      ...(fix === undefined ? {} : { fix }),
      ...(detail === undefined ? {} : { detail }),
    });
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new LktError('TOOL_MISSING', 'unshare is not installed', {
      cause: error,
      fix: 'install util-linux',
    });
  } finally {
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
  }
}
