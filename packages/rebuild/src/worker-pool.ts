import { availableParallelism } from 'node:os';
import { ResourcePool } from '@lkt/core';
import { type WorkerOptions, WorkerProcess } from '@lkt/builder';
import { memoryForLayers, type VariedEnvironment, varyEnvironment } from './vary-environment.ts';

const MAX_WORKERS = 4;
/** Memory per worker: enough for the layers of most builds. */
const BYTES_PER_WORKER = 2 * 2 ** 30;

/**
 * A pool of workers in varied environments, each on a processor of its own. A worker runs one build
 * after the other, and unpacks their base images only once.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #workers: readonly PooledWorker[];
  readonly #pool: ResourcePool<PooledWorker>;

  /** @param builds the maximum number of concurrent builds */
  constructor(builds: number) {
    const fit = Math.floor(memoryForLayers() / BYTES_PER_WORKER);
    const count = Math.max(1, Math.min(builds, availableParallelism(), MAX_WORKERS, fit));
    this.#workers = Array.from({ length: count }, (_, index) => new PooledWorker(index, count));
    this.#pool = new ResourcePool(this.#workers);
  }

  /** Runs one build with a worker, as soon as one is free. */
  async lend<T>(build: (worker: PooledWorker) => Promise<T>): Promise<T> {
    return this.#pool.use(build);
  }

  /** Stops the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map(async (worker) => worker[Symbol.asyncDispose]()));
  }
}

/** A worker of the pool. Its process starts with the first build. */
export class PooledWorker implements AsyncDisposable {
  readonly #index: number;
  readonly #count: number;
  #varied: VariedEnvironment | undefined;
  #worker: WorkerProcess | undefined;

  constructor(index: number, count: number) {
    this.#index = index;
    this.#count = count;
  }

  /** The environment of the worker, and the parts that could not be varied. */
  get varied(): VariedEnvironment {
    this.#varied ??= varyEnvironment(this.#index, this.#count);
    return this.#varied;
  }

  /** Returns the worker process, reserved for one build. */
  async worker(given: Omit<WorkerOptions, 'environment' | 'stays'>): Promise<WorkerProcess> {
    const options = { ...given, environment: this.varied.environment, stays: true };
    const worker = this.#worker;
    if (worker !== undefined) {
      if (worker.take(options)) return worker;
      await worker[Symbol.asyncDispose]();
    }
    this.#worker = WorkerProcess.start(options);
    return this.#worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]();
  }
}
