import { isErrno, LktError } from '@lkt/core';
import type { BuildContext } from '../engine.ts';
import { namespaceError } from './namespace.ts';
import type { WorkerProcess } from './worker-process.ts';
import type { PlanResults } from '../steps/plan-walk.ts';
import type { WorkerJob, WorkerMessage } from './worker-protocol.ts';

/** How long a worker may take to stop before it is killed. */
const GRACE_MS = 10_000;

/** A worker that has run a job. */
export interface FinishedJob {
  readonly results: PlanResults;
  /** Settles when the worker, its processes and its mounts are gone, or the worker is free again. */
  readonly ended: Promise<void>;
}

/**
 * Has a worker run a job. If this throws, the worker is gone. If this process is killed, the worker
 * ends as well.
 * @throws the error of the job; HOST_UNSUPPORTED, TOOL_MISSING
 */
export async function runWorker(
  worker: WorkerProcess,
  job: WorkerJob,
  around: Pick<BuildContext, 'reporter' | 'signal'>,
): Promise<FinishedJob> {
  const { promise, resolve, reject } = Promise.withResolvers<PlanResults>();
  const ended = follow(worker, job, around, resolve);
  ended.catch(reject);
  return { results: await promise, ended };
}

/** @param onResults called while the worker removes its files and mounts */
async function follow(
  worker: WorkerProcess,
  job: WorkerJob,
  { reporter, signal }: Pick<BuildContext, 'reporter' | 'signal'>,
  onResults: (results: PlanResults) => void,
): Promise<void> {
  const { child, uid } = worker;
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  signal?.addEventListener('abort', stop);
  // An event of before comes to nobody.
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
        if (message.kind !== 'result' || signal?.aborted === true) continue;
        onResults(message);
        if (worker.stays) return;
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
    if (last.kind === 'result') return;
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
