import type { Reporter } from '@lkt/core';
import type { Context } from '../context/context.ts';
import { imageKey, type Origin, type StagePlan, type Step, triggerError } from '@lkt/dockerfile';
import type { KnownAnswer } from '../remote-cache/remote-step-cache.ts';
import type { StepRecord } from '../step-cache.ts';
import { stepId, type StepResult } from '../variation.ts';
import { RootfsProbe } from './rootfs-probe.ts';
import type { Layers, LayerRef } from '../layers/layers.ts';
import type { Job } from '../worker/job.ts';
import { StepPreparer } from './prepare-step.ts';
import { CacheMiss } from './step-executor.ts';
import { StepLayers, type StepLayersParts } from './step-layers.ts';

export interface RunnerParts extends StepLayersParts {
  readonly context: Context;
  readonly reporter: Reporter;
}

/**
 * Goes through a plan: stages beside each other, the steps of a stage one after the other, each from the cache or by
 * the executor. Without one it only finds out whether the cache has everything.
 */
export class PlanRunner {
  readonly #job: Job;
  readonly #parts: RunnerParts;
  readonly #stages = new Map<number, Promise<Layers>>();
  readonly #results: StepResult[] = [];
  readonly #probe: RootfsProbe;
  readonly #preparer: StepPreparer;
  readonly #layers: StepLayers;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;

  constructor(job: Job, parts: RunnerParts, signal?: AbortSignal) {
    this.#job = job;
    this.#parts = parts;
    this.#signal =
      signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
    const { context, cache } = parts;
    this.#probe = new RootfsProbe(parts, this.#signal);
    this.#preparer = new StepPreparer(
      job,
      {
        context,
        cache,
        probe: this.#probe,
        fileSystem: async (origin) => this.#rootfs(origin),
      },
      this.#signal,
    );
    this.#layers = new StepLayers(parts, job.noCache, this.#signal);
  }

  /** The layers of the target. Nothing goes on any more when this returns or throws. */
  async run(): Promise<Layers> {
    const { plan } = this.#job;
    const all = plan.stages.map((stage) => this.#stage(stage.index));
    let first: { readonly error: unknown } | undefined;
    await Promise.all(
      all.map(async (stage) =>
        stage.catch((error: unknown) => {
          first ??= { error };
          // Of what is known each stage is followed as far as it goes.
          if (this.#parts.remote === undefined || !(error instanceof CacheMiss))
            this.#abort.abort(error);
        }),
      ),
    );
    if (first !== undefined) throw first.error;
    return this.#stage(plan.target);
  }

  /** What others say that steps gave, and is not in the store, by the keys of the steps. */
  get remoteRecords(): ReadonlyMap<string, StepRecord> {
    return this.#layers.remoteRecords;
  }

  /** The questions that were asked on the way. */
  get answers(): readonly KnownAnswer[] {
    return this.#probe.answers;
  }

  /** What the steps gave that are done. */
  get results(): readonly StepResult[] {
    return this.#results;
  }

  /** Aborted when the caller aborts or a stage has failed. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  #stage(index: number): Promise<Layers> {
    let stage = this.#stages.get(index);
    if (stage === undefined) {
      stage = this.#build(index);
      this.#stages.set(index, stage);
    }
    return stage;
  }

  async #build(index: number): Promise<Layers> {
    const stage = this.#job.plan.stages.find((item) => item.index === index);
    if (stage === undefined) throw new Error(`stage ${index} is not in the plan`);
    const blob = this.#job.keepLayers || isPartOfTarget(this.#job, index);
    let layers = (await this.#rootfs(stage.base)) ?? [];
    for (const [before, step] of stage.steps.entries()) {
      this.#signal.throwIfAborted();
      const layer = await this.#step({ stage, step, number: before + 1 }, layers, blob);
      if (layer !== undefined) layers = [...layers, layer];
    }
    return layers;
  }

  async #step(at: StepPosition, parent: Layers, blob: boolean): Promise<LayerRef | undefined> {
    if (at.step.isTrigger !== true) return this.#do(at, parent, blob);
    return this.#do(at, parent, blob).catch((error: unknown) => {
      throw triggerError(error, at.step.title);
    });
  }

  async #do(at: StepPosition, layers: Layers, blob: boolean): Promise<LayerRef | undefined> {
    const { stage, step, number } = at;
    const parent = isLinked(step) ? [] : layers;
    // BuildKit makes no layer for it either.
    if (step.kind === 'workdir' && step.path === '/') return undefined;
    const label = stage.name ?? String(stage.index);
    const id = `${this.#job.name}:${label}/${number}`;
    // What the step needs of other stages is waited for first.
    const prepared = await this.#preparer.prepare(step, {
      parent,
      platform: stage.platform,
      log: (text) => this.#emit({ kind: 'log', id, text }),
    });
    const title = `[${label} ${number}/${stage.steps.length}] ${step.title}`;
    this.#emit({ kind: 'start', id, title });
    try {
      const position = { stage: stage.index, number };
      const expected = this.#job.variation?.expected[stepId(position)];
      const options = { blob, expected };
      const { key, layer, cached } = await this.#layers.layer(prepared, parent, options);
      this.#results.push({ ...position, key, layer });
      this.#emit({ kind: 'done', id, cached });
      return layer;
    } catch (error) {
      this.#emit({ kind: 'failed', id, ...(this.#signal.aborted && { stopped: true }) });
      throw error;
    }
  }

  /** The file system of an origin; undefined for the context. */
  async #rootfs(origin: Origin): Promise<Layers | undefined> {
    switch (origin.kind) {
      case 'context':
        return undefined;
      case 'scratch':
        return [];
      case 'stage':
        return this.#stage(origin.index);
      case 'image': {
        const layers = this.#job.images[imageKey(origin)];
        if (layers === undefined) throw new Error(`${origin.text} is not among the images`);
        return layers;
      }
      default:
        return origin satisfies never;
    }
  }

  #emit(event: Parameters<Reporter['emit']>[0]): void {
    this.#parts.reporter.emit(event);
  }
}

/**
 * Whether what is copied is a layer by itself, whatever the layers below it hold (Dockerfile reference, "COPY --link").
 * As in BuildKit, `--chmod` excludes it.
 */
function isLinked(step: Step): boolean {
  return (step.kind === 'copy' || step.kind === 'add') && step.link && step.chmod === undefined;
}

interface StepPosition {
  readonly stage: StagePlan;
  readonly step: Step;
  /** In the stage, from 1. */
  readonly number: number;
}

/** Whether the layers of a stage are in the image: the target's, and those of the stages it is FROM. */
function isPartOfTarget({ plan }: Job, index: number): boolean {
  for (let at: number | undefined = plan.target; at !== undefined;) {
    if (at === index) return true;
    const base = plan.stages.find((stage) => stage.index === at)?.base;
    at = base?.kind === 'stage' ? base.index : undefined;
  }
  return false;
}
