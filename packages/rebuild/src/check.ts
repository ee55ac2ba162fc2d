import { readFileSync } from 'node:fs';
import { cpus, version } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, LktError, type Reporter, SECOND_BUILD, silentReporter } from '@lkt/core';
import type { Descriptor } from '@lkt/oci';
import {
  type BuildContext,
  type BuildRequest,
  type Engine,
  layersOf,
  memoryFor,
  planRequest,
  type RequestPlan,
  stepId,
  type StepResult,
  type Variation,
} from '@lkt/builder';
import type { BuildFacts } from './classify-text.ts';
import { type DivergentStep, findDivergentSteps } from './divergent-steps.ts';
import { findMarks } from './marks.ts';
import { fileDifferences } from './file-differences.ts';
import { cause } from './cause.ts';
import { compareImages, machineFacts } from './compare-images.ts';
import type { WorkerPool, PooledWorker } from './worker-pool.ts';
import { diffLayers } from './layer-diff.ts';
import { varyContext } from './vary-context.ts';
import type { CheckReport, StepDifference } from './report.ts';

/** Options of `checkBuild`. */
export interface CheckOptions {
  readonly engine: Engine;
  /** The workers for second builds. */
  readonly workerPool: WorkerPool;
  /** The time of the first build in milliseconds since 1970, if it was just built. */
  readonly builtAt?: number;
  /** The image of the first build. */
  readonly firstImage?: Descriptor;
  /**
   * Whether to compare also steps that do not reach the image. Their layers are then built again.
   */
  readonly everyStep?: boolean;
}

/** Some formats store times with a resolution of two seconds. */
const CLOCK_STEP_MS = 2100;

/**
 * Builds an image a second time, in an environment that differs in everything that must not matter,
 * and compares the two.
 *
 * The first build comes from the step cache as far as possible. The second uses only the base
 * images. It has other paths and times of sources, layers in memory instead of on disk, one
 * processor, fixed addresses, and another time, umask, user and host name.
 * @throws LktError any error of the engine
 * @example
 * ```ts
 * await using workerPool = new WorkerPool(1);
 * const report = await checkBuild(request, { store, reporter }, { engine, workerPool });
 * ```
 */
export async function checkBuild(
  request: BuildRequest,
  context: BuildContext,
  { engine, workerPool, builtAt, firstImage, everyStep = false }: CheckOptions,
): Promise<CheckReport> {
  const { store, signal } = context;
  const planned = await planRequest(request, { ...context, reporter: silentReporter });
  let first = await build(engine, request, context);
  if (firstImage !== undefined && firstImage.digest !== first.image.digest)
    // The step cache has lost the results of the first build, and its steps now produce different
    // ones.
    return compareImages(firstImage, { ...first.image, platform: request.platform }, context);
  await waitForClockStep(first.ranStep ? Date.now() : builtAt, signal);
  const again = { ...request, name: `${request.name}:${SECOND_BUILD}` };
  const { notes, second, now, variation } = await workerPool.lend(async (pooled) =>
    buildVaried(engine, again, context, { planned, expected: first.results, pooled }),
  );
  const { stages } = planned.plan;
  const target = planned.target.index;
  let divergent = findDivergentSteps(stages, target, first.results, second.results);
  const isSeen = ({ reachesImage }: DivergentStep): boolean => everyStep || reachesImage;
  if (divergent.some((one) => isSeen(one) && one.first.layer.descriptor === null)) {
    // Layers to compare must be in the store.
    first = await build(engine, { ...request, keepLayers: true }, context);
    divergent = findDivergentSteps(stages, target, first.results, second.results);
  }
  const usual = machineFacts();
  const [processors] = usual.processors;
  const facts: BuildFacts = {
    ...usual,
    now,
    processors: [processors, variation.cpu === undefined ? processors : 1],
    hostnames: [...usual.hostnames, variation.hostname],
  };
  const differences: StepDifference[] = [];
  for (const step of divergent)
    differences.push(
      isSeen(step)
        ? await compareStep(step, request, context, facts)
        : { step: locationOf(step, request), reachesImage: false, files: [], more: 0 },
    );
  return {
    reproducible: first.image.digest === second.image.digest,
    first: first.image.digest,
    second: second.image.digest,
    differences,
    marks: await findMarks(
      store,
      ownLayers(planned, second),
      request.context,
      {
        now,
        kernel: facts.kernel,
        kernelVersion: version(),
        processor: processor(),
        bootId: bootId(),
      },
      signal,
    ),
    notes,
  };
}

interface Outcome {
  readonly image: Descriptor;
  readonly results: ReadonlyMap<string, StepResult>;
  /** Whether a step was run instead of cached. */
  readonly ranStep: boolean;
}

async function build(
  engine: Engine,
  request: BuildRequest,
  context: BuildContext,
): Promise<Outcome> {
  const results = new Map<string, StepResult>();
  let ranStep = false;
  const reporter: Reporter = {
    emit: (event) => {
      if (event.kind === 'done' && !event.cached) ranStep = true;
      // The first build has reported its warnings.
      if (event.kind !== 'warning') context.reporter.emit(event);
    },
  };
  const onStep = (result: StepResult): void => void results.set(stepId(result), result);
  const image = await engine.build(request, { ...context, reporter, onStep });
  return { image, results, ranStep };
}

async function waitForClockStep(
  since: number | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (since === undefined) return;
  const left = since + CLOCK_STEP_MS - Date.now();
  if (left > 0) await sleep(left, undefined, signal === undefined ? {} : { signal });
}

/** Builds in a varied environment. Drops variations with which the build fails. */
async function buildVaried(
  engine: Engine,
  request: BuildRequest,
  context: BuildContext,
  {
    planned,
    expected,
    pooled,
  }: {
    planned: RequestPlan;
    expected: ReadonlyMap<string, StepResult>;
    pooled: PooledWorker;
  },
): Promise<{ second: Outcome; variation: Variation; notes: readonly string[]; now: number }> {
  const { store, signal } = context;
  await using directory = await store.tempDir();
  const sources = await varyContext(request.context, `${directory.path}/sources`, signal);
  const { environment } = pooled.varied;
  const notes = [...pooled.varied.notes];
  const { memory, ...onDisk } = environment;
  const fits =
    memory !== undefined && memory >= memoryFor([...planned.images.values()].flatMap(layersOf));
  if (!fits)
    notes.push('the order of directories is not varied: too little free memory for the layers');
  let variation: Variation = {
    ...(fits ? environment : onDisk),
    expected: Object.fromEntries(
      [...expected].map(([id, { layer }]): [string, Digest] => [id, layer.diffId]),
    ),
  };
  let isFirst = true;
  for (;;) {
    const now = Math.floor(Date.now() / 1000);
    const { limits, executor } = request;
    const { dir, sealed } = store;
    const options = { store: dir, key: sealed.key, limits, executor };
    const worker = isFirst && fits ? await pooled.worker(options) : undefined;
    isFirst = false;
    try {
      const again = { ...request, context: sources, variation };
      const second = await build(engine, again, { ...context, tree: undefined, worker });
      return { second, variation, notes, now };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof LktError && error.code === 'INTERRUPTED') throw error;
      const full = error instanceof LktError && error.code === 'DISK_FULL';
      if (full && variation.memory !== undefined) {
        const { memory: _, ...rest } = variation;
        variation = rest;
        notes.push('the order of directories is not varied: the layers exceed the memory');
      } else if (variation.userNamespace) {
        variation = { ...variation, userNamespace: false };
        notes.push('the user is not varied: the build needs root privileges on this machine');
      } else {
        throw error;
      }
    }
  }
}

async function compareStep(
  divergent: DivergentStep,
  request: BuildRequest,
  { store, signal }: BuildContext,
  facts: BuildFacts,
): Promise<StepDifference> {
  const { step, first, second, sameInputs, reachesImage } = divergent;
  const location = locationOf(divergent, request);
  const [a, b] = [first.layer.descriptor, second.layer.descriptor];
  if (a === null || b === null) return { step: location, reachesImage, files: [], more: 0 };
  const { entries, more } = await diffLayers(store, a, b, signal);
  const found = fileDifferences(entries, { ...facts, command: step.title });
  // A COPY or WORKDIR depends only on its inputs.
  const isBuilder = step.kind !== 'run' || !sameInputs;
  const files = isBuilder ? found.map((file) => ({ ...file, cause: cause('builder') })) : found;
  return { step: location, reachesImage, files, more };
}

function locationOf(
  { step }: DivergentStep,
  { dockerfile }: BuildRequest,
): NonNullable<StepDifference['step']> {
  const { line, column } = step.position;
  return { path: dockerfile.path, line, column, title: step.title };
}

/** Returns the image's layers that a RUN made, or that were copied from another stage. */
function ownLayers({ plan, target }: RequestPlan, { results }: Outcome): readonly Descriptor[] {
  const layers: Descriptor[] = [];
  for (let stage: typeof target | undefined = target; stage !== undefined;) {
    for (const [before, step] of stage.steps.entries()) {
      const made = step.kind === 'run' || ('from' in step && step.from.kind === 'stage');
      const id = stepId({ stage: stage.index, number: before + 1 });
      const descriptor = results.get(id)?.layer.descriptor;
      if (made && descriptor !== null && descriptor !== undefined) layers.push(descriptor);
    }
    const { base }: typeof target = stage;
    stage =
      base.kind === 'stage' ? plan.stages.find(({ index }) => index === base.index) : undefined;
  }
  return layers;
}

function processor(): string {
  return cpus()[0]?.model.trim() ?? '';
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
