import { isErrno, LktError } from '@lkt/core';
import type { BuildContext } from '../engine.ts';
import { namespaceError } from './namespace.ts';
import type { WorkerProcess } from './worker-process.ts';
import type { PlanResults } from '../steps/plan-walk.ts';
import type { WorkerJob, WorkerMessage } from './worker-protocol.ts';

/** How long a worker may take to stop before it is killed. */
const GRACE_MS = 10_000;

/**
 * Has a worker run a job. When this returns or throws, the worker, its processes and its mounts are
 * gone, unless the worker stays for further jobs. If this process is killed, the worker ends too.
 * @throws the error of the job; HOST_UNSUPPORTED, TOOL_MISSING
 */
export async function runWorker(
  worker: WorkerProcess,
  job: WorkerJob,
  { reporter, signal }: Pick<BuildContext, 'reporter' | 'signal'>,
): Promise<PlanResults> {
  const { child, uid } = worker;
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  signal?.addEventListener('abort', stop);
  // An earlier abort fires no event.
  if (signal?.aborted === true) stop();
  let complaint = '';
  const complain = (chunk: Buffer): void => {
    complaint = (complaint + chunk.toString()).slice(-8192);
  };
  try {
    worker.begin(job);
    worker.complaints.on('data', complain);
    let last: Exclude<WorkerMessage, { kind: 'event' }> | undefined;
    const read = async (): Promise<void> => {
      for (;;) {
        const { value: line } = await worker.messages.next();
        if (line === undefined) return;
        const message = JSON.parse(line) as WorkerMessage;
        if (message.kind === 'event') {
          reporter.emit(message.event);
          continue;
        }
        last = message;
        if (message.kind === 'result' && worker.stays && signal?.aborted !== true) return;
      }
    };
    const reading = read();
    const goesOn =
      worker.stays &&
      (await reading.then(
        () => last?.kind === 'result',
        () => false,
      ));
    if (goesOn) worker.release();
    const [status] = goesOn ? [] : await Promise.all([worker.status, reading]);
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
      cause: cause === undefined ? undefined : new Error(cause),
      fix,
      detail,
    });
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new LktError('TOOL_MISSING', 'unshare is not installed', {
      cause: error,
      fix: 'install util-linux',
    });
  } finally {
    clearTimeout(killer);
    worker.complaints.off('data', complain);
    signal?.removeEventListener('abort', stop);
  }
}
