import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, LktError, type Reporter, silentReporter } from '@lkt/core';
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
import type { Circumstances } from './classify-text.ts';
import { type Culprit, findCulprits } from './culprits.ts';
import { findMarks } from './marks.ts';
import { fileDifferences } from './file-differences.ts';
import { cause } from './cause.ts';
import { compareImages } from './compare-images.ts';
import type { WorkerPool, PooledWorker } from './worker-pool.ts';
import { diffLayers } from './layer-diff.ts';
import { moveContext } from './moved-context.ts';
import type { CheckReport, StepDifference } from './report.ts';

export interface CheckOptions {
  readonly engine: Engine;
  /** Where the second build is made. */
  readonly workerPool: WorkerPool;
  /** When the first build was made, if just now: milliseconds since 1970. */
  readonly builtAt?: number;
  /** What the first build gave. */
  readonly known?: Descriptor;
  /** Whether to look also into what does not reach the image, for which its layers are made. */
  readonly everyStep?: boolean;
}

/** The clocks of some formats go in steps of two seconds. */
const CLOCK_STEP_MS = 2100;

/**
 * Builds what has been built a second time, in surroundings that differ in all that must not matter, and compares.
 *
 * The first build is answered by the step cache, as far as it can. The second knows nothing but the images it is on:
 * it has other paths and times of sources, layers in memory instead of on disk, one processor, fixed addresses, another
 * time, umask, user and name of the machine.
 * @throws LktError what the engine throws
 */
export async function checkBuild(
  request: BuildRequest,
  context: BuildContext,
  { engine, workerPool, builtAt, known, everyStep = false }: CheckOptions,
): Promise<CheckReport> {
  const { store, signal } = context;
  const planned = await planRequest(request, { ...context, reporter: silentReporter });
  let first = await build(engine, request, context);
  if (known !== undefined && known.digest !== first.image.digest)
    // What the steps gave is forgotten, and they now give something else.
    return compareImages(known, { ...first.image, platform: request.platform }, context);
  await passTime(first.anew ? Date.now() : builtAt, signal);
  const again = { ...request, name: `${request.name} (second build)` };
  const { notes, second, now, variation } = await workerPool.lend(async (pooled) =>
    buildInPool(engine, again, context, { planned, expected: first.results, pooled }),
  );
  const { stages } = planned.plan;
  const target = planned.target.index;
  let culprits = findCulprits(stages, target, first.results, second.results);
  const isSeen = ({ reachesImage }: Culprit): boolean => everyStep || reachesImage;
  if (culprits.some((one) => isSeen(one) && one.first.layer.descriptor === null)) {
    // What is compared has to be in the store.
    first = await build(engine, { ...request, keepLayers: true }, context);
    culprits = findCulprits(stages, target, first.results, second.results);
  }
  const around: Omit<Circumstances, 'command'> = {
    now,
    processors: [availableParallelism(), variation.cpu === undefined ? availableParallelism() : 1],
    hostnames: [hostname(), variation.hostname],
    kernel: release(),
  };
  const differences: StepDifference[] = [];
  for (const culprit of culprits)
    differences.push(
      isSeen(culprit)
        ? await compareStep(culprit, request, context, around)
        : { step: placeOf(culprit, request), reachesImage: false, files: [], more: 0 },
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
      { now, kernel: release(), bootId: bootId() },
      signal,
    ),
    notes,
  };
}

interface Outcome {
  readonly image: Descriptor;
  readonly results: ReadonlyMap<string, StepResult>;
  /** Whether a step was done. */
  readonly anew: boolean;
}

async function build(
  engine: Engine,
  request: BuildRequest,
  context: BuildContext,
): Promise<Outcome> {
  const results = new Map<string, StepResult>();
  let anew = false;
  const reporter: Reporter = {
    emit: (event) => {
      if (event.kind === 'done' && !event.cached) anew = true;
      // They have been reported when the image was built.
      if (event.kind !== 'warning') context.reporter.emit(event);
    },
  };
  const onStep = (result: StepResult): void => void results.set(stepId(result), result);
  const image = await engine.build(request, { ...context, reporter, onStep });
  return { image, results, anew };
}

async function passTime(since: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (since === undefined) return;
  const left = since + CLOCK_STEP_MS - Date.now();
  if (left > 0) await sleep(left, undefined, signal === undefined ? {} : { signal });
}

/** Builds in other surroundings: in those that a build is possible in. */
async function buildInPool(
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
  const sources = await moveContext(request.context, `${directory.path}/sources`, signal);
  const notes = [...pooled.notes];
  const { memory, ...onDisk } = pooled.environment;
  const fits =
    memory !== undefined && memory >= memoryFor([...planned.images.values()].flatMap(layersOf));
  if (!fits)
    notes.push('the order of directories is the same: too little memory is free for the layers');
  let variation: Variation = {
    ...(fits ? pooled.environment : onDisk),
    expected: Object.fromEntries(
      [...expected].map(([id, { layer }]): [string, Digest] => [id, layer.diffId]),
    ),
  };
  let isFirst = true;
  for (;;) {
    const now = Math.floor(Date.now() / 1000);
    const { limits, executor } = request;
    const worker =
      isFirst && fits ? await pooled.worker({ store: store.dir, limits, executor }) : undefined;
    isFirst = false;
    try {
      const again = { ...request, context: sources, variation };
      const second = await build(engine, again, { ...context, worker });
      return { second, variation, notes, now };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof LktError && error.code === 'INTERRUPTED') throw error;
      const full = error instanceof LktError && error.code === 'DISK_FULL';
      if (full && variation.memory !== undefined) {
        const { memory: _, ...rest } = variation;
        variation = rest;
        notes.push('the order of directories is the same: the layers are too large for memory');
      } else if (variation.userNamespace) {
        variation = { ...variation, userNamespace: false };
        notes.push('both builds are by root: the build needs its rights over the machine');
      } else {
        throw error;
      }
    }
  }
}

async function compareStep(
  culprit: Culprit,
  request: BuildRequest,
  { store, signal }: BuildContext,
  around: Omit<Circumstances, 'command'>,
): Promise<StepDifference> {
  const { step, first, second, sameInputs, reachesImage } = culprit;
  const place = placeOf(culprit, request);
  const [a, b] = [first.layer.descriptor, second.layer.descriptor];
  if (a === null || b === null) return { step: place, reachesImage, files: [], more: 0 };
  const { entries, more } = await diffLayers(store, a, b, signal);
  const told = fileDifferences(entries, { ...around, command: step.title });
  // Nothing that a COPY or WORKDIR does depends on anything but its inputs.
  const isBuilder = step.kind !== 'run' || !sameInputs;
  const files = isBuilder ? told.map((file) => ({ ...file, cause: cause('builder') })) : told;
  return { step: place, reachesImage, files, more };
}

function placeOf(
  { step }: Culprit,
  { dockerfile }: BuildRequest,
): NonNullable<StepDifference['step']> {
  const { line, column } = step.position;
  return { path: dockerfile.path, line, column, title: step.title };
}

/** Layers of the image that are not those of its base, nor copied from the sources or another image. */
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

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
