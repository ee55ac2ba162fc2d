import { imageKey, type StagePlan, type Step, triggerError } from '@lkt/dockerfile';
import type { Context } from '../context/context.ts';
import { type Layers, diffIds, type LayerRef } from '../layers/layers.ts';
import type { StepCache } from '../step-cache.ts';
import { stepId, type StepResult } from '../variation.ts';
import type { Job } from '../worker/job.ts';
import { StepPreparer } from './prepare-step.ts';
import type { KnownAnswer, RootfsProbe } from './rootfs-probe.ts';
import type { StepWork } from './step-work.ts';

/** A step of a plan. */
export interface PlannedStep {
  readonly stage: StagePlan;
  readonly step: Step;
  /** In the stage, from 1. */
  readonly number: number;
}

/** A step whose inputs are known. */
export interface ReadyStep extends PlannedStep {
  /** The hash of everything the step depends on. */
  readonly key: string;
  readonly work: StepWork;
  /** The layers below the step. */
  readonly parent: Layers;
  /** Whether the layer is part of the image, and so needs a blob. */
  readonly blob: boolean;
}

/** Provides the layers of steps: from caches, or by running the steps. */
export interface StepSolver {
  readonly probe: RootfsProbe;
  /** Returns the layer of a step, or undefined if only running the step can tell. */
  solve(step: ReadyStep): Promise<LayerRef | undefined>;
}

/** The results of a walk. */
export interface PlanResults {
  /** The layers of the target; undefined if a step has no layer yet. */
  readonly layers: Layers | undefined;
  /** The steps with a layer, in the order of their completion. */
  readonly steps: readonly StepResult[];
  /** Facts about file systems that keys of steps depend on. */
  readonly answers: readonly KnownAnswer[];
}

export interface PlanWalkOptions {
  readonly job: Job;
  readonly context: Context;
  readonly cache: StepCache;
  readonly solver: StepSolver;
  /** Steps that have a layer already. The results omit them. */
  readonly known?: readonly StepResult[];
  /** Aborted with the error when a stage fails. */
  readonly abort: AbortController;
  /** Aborted by `abort`, or by the caller. */
  readonly signal: AbortSignal;
}

/**
 * Walks a plan: its stages concurrently, the steps of a stage in order. A stage ends at its first
 * step without a layer. When this returns or throws, every stage has ended.
 * @throws the first error of a stage
 */
export async function walkPlan(options: PlanWalkOptions): Promise<PlanResults> {
  const walk = new PlanWalk(options);
  const { plan } = options.job;
  const stages = plan.stages.map(async ({ index }) => walk.stage(index));
  for (const stage of stages) stage.catch((error: unknown) => options.abort.abort(error));
  await Promise.allSettled(stages);
  options.abort.signal.throwIfAborted();
  const layers = await walk.stage(plan.target);
  return { layers, steps: walk.results, answers: options.solver.probe.answers };
}

class PlanWalk {
  readonly results: StepResult[] = [];
  readonly #options: PlanWalkOptions;
  readonly #known: ReadonlyMap<string, LayerRef>;
  readonly #stages = new Map<number, Promise<Layers | undefined>>();
  readonly #preparer: StepPreparer;

  constructor(options: PlanWalkOptions) {
    this.#options = options;
    this.#known = new Map((options.known ?? []).map((step) => [stepId(step), step.layer]));
    const fileSystem = async (origin: StagePlan['base']): Promise<Layers | undefined> =>
      this.#fileSystem(origin);
    const { probe } = options.solver;
    this.#preparer = new StepPreparer({ ...options, probe, fileSystem });
  }

  /** Returns the layers of a stage, with those of its base; undefined if a step has no layer. */
  async stage(index: number): Promise<Layers | undefined> {
    let stage = this.#stages.get(index);
    if (stage === undefined) {
      stage = this.#walkStage(index);
      this.#stages.set(index, stage);
    }
    return stage;
  }

  async #walkStage(index: number): Promise<Layers | undefined> {
    const { job } = this.#options;
    const stage = job.plan.stages.find((item) => item.index === index);
    if (stage === undefined) throw new Error(`stage ${index} is not in the plan`);
    const blob = job.keepLayers || isPartOfTarget(job, index);
    let layers = await this.#fileSystem(stage.base);
    for (const [before, step] of stage.steps.entries()) {
      if (layers === undefined) return undefined;
      this.#options.signal.throwIfAborted();
      // BuildKit makes no layer for it either.
      if (step.kind === 'workdir' && step.path === '/') continue;
      const layer = await this.#step({ stage, step, number: before + 1 }, layers, blob);
      layers = layer && [...layers, layer];
    }
    return layers;
  }

  async #step(at: PlannedStep, layers: Layers, blob: boolean): Promise<LayerRef | undefined> {
    const position = { stage: at.stage.index, number: at.number };
    const known = this.#known.get(stepId(position));
    if (known !== undefined) return known;
    const parent = isLinked(at.step) ? [] : layers;
    try {
      const prepared = await this.#preparer.prepare(at.step, parent, at.stage.platform);
      if (prepared === undefined) return undefined;
      const { cache, solver } = this.#options;
      const key = cache.key({ ...prepared.keyFields, parent: diffIds(parent) });
      const layer = await solver.solve({ ...at, key, work: prepared.work, parent, blob });
      if (layer !== undefined) this.results.push({ ...position, key, layer });
      return layer;
    } catch (error) {
      throw at.step.isTrigger === true ? triggerError(error, at.step.title) : error;
    }
  }

  /** Returns the layers of an origin; undefined if a step of the stage has no layer. */
  async #fileSystem(origin: StagePlan['base']): Promise<Layers | undefined> {
    switch (origin.kind) {
      case 'scratch':
        return [];
      case 'stage':
        return this.stage(origin.index);
      case 'image': {
        const layers = this.#options.job.images[imageKey(origin)];
        if (layers === undefined) throw new Error(`${origin.text} is not among the images`);
        return layers;
      }
      default:
        return origin satisfies never;
    }
  }
}

/** The id and title of a step in progress events. */
export function stepLabel(
  job: Job,
  { stage, step, number }: PlannedStep,
): { readonly id: string; readonly title: string } {
  const label = stage.name ?? String(stage.index);
  return {
    id: `${job.name}:${label}/${number}`,
    title: `[${label} ${number}/${stage.steps.length}] ${step.title}`,
  };
}

/**
 * Reports whether the layer of a copy does not depend on the layers below it (Dockerfile reference,
 * "COPY --link"). As in BuildKit, `--chmod` excludes it.
 */
function isLinked(step: Step): boolean {
  return (step.kind === 'copy' || step.kind === 'add') && step.link && step.chmod === undefined;
}

/** Reports whether the image has the layers of a stage: of the target, or one of its bases. */
function isPartOfTarget({ plan }: Job, index: number): boolean {
  for (let at: number | undefined = plan.target; at !== undefined;) {
    if (at === index) return true;
    const base = plan.stages.find((stage) => stage.index === at)?.base;
    at = base?.kind === 'stage' ? base.index : undefined;
  }
  return false;
}
