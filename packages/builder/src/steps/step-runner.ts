import { Semaphore, type Reporter } from '@lkt/core';
import type { LayerRef } from '../layers/layers.ts';
import { stepId } from '../variation.ts';
import type { Job } from '../worker/job.ts';
import { cachedLayer, type LocalCaches } from './cache-lookup.ts';
import { type ReadyStep, stepLabel, type StepSolver } from './plan-walk.ts';
import { RootfsProbe } from './rootfs-probe.ts';
import type { OverlayExecutor } from './executor.ts';
import type { LayerOptions } from './step-work.ts';

export interface StepRunnerParts extends LocalCaches {
  readonly job: Job;
  readonly executor: OverlayExecutor;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** Locks of steps last as long as the step runs. */
const STEP_TIMEOUT_MS = 24 * 3600 * 1000;

/** Runs steps, and stores their layers in the cache. Concurrent processes run a step once. */
export class StepRunner implements StepSolver {
  readonly probe: RootfsProbe;
  readonly #parts: StepRunnerParts;
  readonly #running: Semaphore;

  constructor(parts: StepRunnerParts) {
    this.probe = new RootfsProbe(parts);
    this.#parts = parts;
    this.#running = new Semaphore(Math.max(1, parts.job.cpus));
  }

  async solve(step: ReadyStep): Promise<LayerRef> {
    const { job, reporter, store, signal } = this.#parts;
    const { id, title } = stepLabel(job, step);
    reporter.emit({ kind: 'start', id, title });
    const log = (text: string): void => reporter.emit({ kind: 'log', id, text });
    try {
      const wait = { signal, timeoutMs: STEP_TIMEOUT_MS };
      const { layer, cached } = job.noCache
        ? { layer: await this.#run(step, log), cached: false }
        : await store.withLock(`step-${step.key}`, async () => this.#reuseOrRun(step, log), wait);
      reporter.emit({ kind: 'done', id, cached });
      return layer;
    } catch (error) {
      reporter.emit({ kind: 'failed', id, ...(signal.aborted && { stopped: true }) });
      throw error;
    }
  }

  /** Returns the layer that an earlier build or another process made, or runs the step. */
  async #reuseOrRun(
    step: ReadyStep,
    log: LayerOptions['log'],
  ): Promise<{ readonly layer: LayerRef; readonly cached: boolean }> {
    const { cache, executor } = this.#parts;
    const layer = await cachedLayer(step.key, this.#parts);
    if (layer === undefined) return { layer: await this.#run(step, log), cached: false };
    if (layer.descriptor !== null || !step.blob) return { layer, cached: true };
    const whole = await executor.withBlob(layer);
    await cache.store(step.key, whole);
    return { layer: whole, cached: true };
  }

  async #run(step: ReadyStep, log: LayerOptions['log']): Promise<LayerRef> {
    const { job, cache, executor, signal } = this.#parts;
    const { stage, number, key, work, parent, blob } = step;
    const expected = job.variation?.expected[stepId({ stage: stage.index, number })];
    const before = blob ? await cache.record(key) : undefined;
    const execute = async (): Promise<LayerRef> => {
      signal.throwIfAborted();
      const record = await executor.execute(parent, work, { blob, expected, before, log });
      await cache.store(key, record);
      return record;
    };
    return work.kind === 'run' ? this.#running.run(execute) : execute();
  }
}
