import { isErrno, LktError } from '@lkt/core';
import type { BuildContext } from '../engine.ts';
import { unshareMissing } from './check-host.ts';
import { namespaceError } from './namespace-error.ts';
import type { WorkerProcess } from './worker-process.ts';
import type { PlanResults } from '../steps/plan-walk.ts';
import type { WorkerJob, WorkerMessage } from './worker-protocol.ts';

/** How long a worker may take to stop before it is killed. */
const GRACE_MS = 10_000;

type WorkerOutcome = Exclude<WorkerMessage, { kind: 'event' }>;

/**
 * Has a worker run a job. When this returns or throws, the worker, its processes and its mounts are
 * gone, unless the worker stays for further jobs. If this process is killed, the worker ends too.
 * @throws the error of the job; HOST_UNSUPPORTED, TOOL_MISSING
 */
export async function runWorker(
  worker: WorkerProcess,
  job: WorkerJob,
  context: Pick<BuildContext, 'reporter' | 'signal'>,
): Promise<PlanResults> {
  const { child } = worker;
  const { signal } = context;
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  signal?.addEventListener('abort', stop);
  // An earlier abort fires no event.
  if (signal?.aborted === true) stop();
  try {
    worker.begin(job);
    const reading = readOutcome(worker, context);
    if (worker.stays && (await reading.catch(() => undefined))?.kind === 'result') worker.release();
    else await Promise.all([worker.status, reading]);
    const outcome = await reading;
    signal?.throwIfAborted();
    if (outcome?.kind === 'result') return outcome;
    throw outcome === undefined
      ? endError(worker.uid, await worker.status, worker.complaint)
      : outcomeError(outcome);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw unshareMissing(error);
  } finally {
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
  }
}

/**
 * Reports the events of a worker. Returns its last message when it ends, or its result if it stays;
 * undefined if there was none.
 */
async function readOutcome(
  worker: WorkerProcess,
  { reporter, signal }: Pick<BuildContext, 'reporter' | 'signal'>,
): Promise<WorkerOutcome | undefined> {
  let last: WorkerOutcome | undefined;
  for (;;) {
    const { value: line } = await worker.messages.next();
    if (line === undefined) return last;
    const message = JSON.parse(line) as WorkerMessage;
    if (message.kind === 'event') {
      reporter.emit(message.event);
      continue;
    }
    last = message;
    if (message.kind === 'result' && worker.stays && signal?.aborted !== true) return last;
  }
}

/** Returns the error for a worker that ended without an outcome. */
function endError(uid: number, status: string, complaint: string): Error {
  const forbidden = namespaceError(uid, complaint.trim());
  if (forbidden !== undefined) return forbidden;
  if (status === 'SIGKILL') {
    return new LktError('BUILD_FAILED', 'the build process was killed', {
      fix: 'check whether the machine ran out of memory, and build again',
    });
  }
  return new Error(`the worker of the build ended (${status}) without a result: ${complaint}`);
}

function outcomeError(outcome: Exclude<WorkerOutcome, { kind: 'result' }>): Error {
  if (outcome.kind === 'crash')
    return new Error(`the worker of the build crashed: ${outcome.stack}`);
  const { code, message, fix, detail, cause } = outcome;
  return new LktError(code, message, {
    cause: cause === undefined ? undefined : new Error(cause),
    fix,
    detail,
  });
}
