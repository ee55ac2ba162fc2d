import { availableParallelism } from 'node:os';
import { ResourcePool } from '@lkt/core';
import { type BuildEnvironment, type WorkerOptions, WorkerProcess } from '@lkt/builder';
import { memoryForLayers, type VariedEnvironment, varyEnvironment } from './vary-environment.ts';

const MAX_WORKERS = 4;
/** Of memory for each: what the layers of most builds need. */
const ENOUGH_BYTES = 2 * 2 ** 30;

/**
 * Places in other surroundings, each on a processor of its own. The builds in one follow each other, and what they are on is
 * unpacked once for all: a worker stays there.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #workers: readonly PooledWorker[];
  readonly #pool: ResourcePool<PooledWorker>;

  /** @param builds the number of builds that may be wanted at once */
  constructor(builds: number) {
    const fit = Math.floor(memoryForLayers() / ENOUGH_BYTES);
    const count = Math.max(1, Math.min(builds, availableParallelism(), MAX_WORKERS, fit));
    this.#workers = Array.from({ length: count }, (_, index) => new PooledWorker(index, count));
    this.#pool = new ResourcePool(this.#workers);
  }

  /** Lends a worker to one build, once one is free. */
  async lend<T>(build: (worker: PooledWorker) => Promise<T>): Promise<T> {
    return this.#pool.use(build);
  }

  /** Ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map(async (worker) => worker[Symbol.asyncDispose]()));
  }
}

/** One of them. */
export class PooledWorker implements AsyncDisposable {
  readonly #index: number;
  readonly #count: number;
  #varied: VariedEnvironment | undefined;
  #worker: WorkerProcess | undefined;

  constructor(index: number, count: number) {
    this.#index = index;
    this.#count = count;
  }

  get environment(): BuildEnvironment {
    return this.#known.environment;
  }

  /** What could not be changed. */
  get notes(): readonly string[] {
    return this.#known.notes;
  }

  /** The worker, taken for one build. */
  async worker(around: Omit<WorkerOptions, 'environment' | 'stays'>): Promise<WorkerProcess> {
    const options = { ...around, environment: this.environment, stays: true };
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

  get #known(): VariedEnvironment {
    this.#varied ??= varyEnvironment(this.#index, this.#count);
    return this.#varied;
  }
}
