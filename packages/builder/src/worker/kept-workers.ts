import { WorkerProcess } from './worker-process.ts';
import type { WorkerOptions } from './worker-protocol.ts';

/** Workers that run one build after the other: starting one takes as long as a small build. */
export class KeptWorkers implements AsyncDisposable {
  #workers: WorkerProcess[] = [];

  /** Returns a free worker with these options, reserved for one build. */
  take(options: Omit<WorkerOptions, 'stays'>): WorkerProcess {
    const free = this.#workers.find((worker) => worker.take(options));
    if (free !== undefined) return free;
    const started = WorkerProcess.start({ ...options, stays: true });
    started.reserve();
    this.#workers.push(started);
    return started;
  }

  /** Ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    const workers = this.#workers;
    this.#workers = [];
    await Promise.all(workers.map(async (worker) => worker[Symbol.asyncDispose]()));
  }
}
