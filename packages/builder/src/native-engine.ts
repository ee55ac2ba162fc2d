import { availableParallelism } from 'node:os';
import { platform } from 'node:process';
import { imageMetadata } from '@lkt/dockerfile';
import { type Descriptor, writeImage } from '@lkt/oci';
import { fetchGitFiles } from './add/git-layers.ts';
import { fetchRemoteFiles } from './add/remote-files.ts';
import { Context } from './context/context.ts';
import type { BuildContext, BuildRequest, Engine } from './engine.ts';
import { LayerDirs } from './layers/layer-dirs.ts';
import { layersOf, planRequest, type RequestPlan } from './request-plan.ts';
import { readCredentials, refuseSecretConfig } from './secrets/secrets.ts';
import { StepCache } from './step-cache.ts';
import { lookUpPlan } from './steps/cache-lookup.ts';
import { missingRuns } from './steps/missing-runs.ts';
import { type PlanResults, stepLabel } from './steps/plan-walk.ts';
import { refuseUnsupported } from './steps/unsupported.ts';
import type { Job } from './worker/job.ts';
import type { KeptWorkers } from './worker/kept-workers.ts';
import { chooseNamespace } from './worker/namespace.ts';
import { runWorker } from './worker/worker-client.ts';
import { processUid, WorkerProcess } from './worker/worker-process.ts';
import type { WorkerOptions } from './worker/worker-protocol.ts';

/**
 * Returns the engine that builds on this machine. It needs nothing but Linux: overlay mounts,
 * namespaces and unshare(1).
 *
 * A build looks up its steps in the caches. If some are missing, a worker process runs them in a
 * mount namespace of its own, and without root in a user namespace as well.
 * @param workers `waiting` was started early, for the first build with the same options; `kept` are
 * workers for several builds, which the caller ends
 */
export function nativeEngine(workers: Workers = {}): Engine {
  return { build: async (request, around) => build(request, around, workers) };
}

interface Workers {
  readonly waiting?: WorkerProcess | undefined;
  readonly kept?: KeptWorkers;
}

async function build(
  request: BuildRequest,
  around: BuildContext,
  workers: Workers,
): Promise<Descriptor> {
  const early = around.worker ?? earlyWorker(request, around, workers);
  let isUsed = false;
  const worker = (missing: number): WorkerProcess => {
    isUsed = true;
    return early ?? WorkerProcess.start({ ...setupOf(request, around), expectsRun: missing > 0 });
  };
  try {
    return await buildWith(worker, request, around);
  } finally {
    if (!isUsed) early?.release();
  }
}

/** Returns a worker that starts, or has started, while the build is planned. */
function earlyWorker(
  request: BuildRequest,
  around: BuildContext,
  { waiting, kept }: Workers,
): WorkerProcess | undefined {
  const setup = setupOf(request, around);
  if (waiting?.take(setup) === true) return waiting;
  // On other systems a build succeeds if all its steps are known.
  if (platform !== 'linux') return undefined;
  return kept?.take({ ...setup, expectsRun: HAS_RUN.test(request.dockerfile.text) });
}

const HAS_RUN = /^\s*(?:ONBUILD\s+)?RUN\b/im;

function setupOf(
  { limits = {}, executor = 'init', variation }: BuildRequest,
  { store }: BuildContext,
): WorkerOptions {
  return { store: store.dir, key: store.sealed.key, limits, executor, environment: variation };
}

/** @param worker returns a worker, given the number of RUNs that it may run */
async function buildWith(
  worker: (missing: number) => WorkerProcess,
  request: BuildRequest,
  around: BuildContext,
): Promise<Descriptor> {
  const planned = await planRequest(request, around);
  const job = jobOf(request, planned, around);
  refuseUnsupported(job, request.executor ?? 'init');
  const config = imageMetadata(planned.target, request.labels);
  const { tree = new Context(request.context) } = around;
  const known = job.noCache ? NOTHING : await lookUp(job, tree, around);
  if (known.layers !== undefined) return writeResults(known, config, request, around);

  const credentials = await readCredentials(job.plan, job.file, request);
  refuseSecretConfig(config, credentials);
  await fetchRemoteFiles(job.plan, request, around);
  const gitFiles = await fetchGitFiles(job.plan, job.file, request.name, around);
  around.signal?.throwIfAborted();
  const results = await runWorker(
    worker(missingRuns({ plan: job.plan, known: known.steps })),
    {
      ...job,
      context: tree.files(),
      known: known.steps,
      gitFiles: Object.fromEntries(gitFiles),
      secrets: [...credentials.secrets].map(([id, bytes]) => [id, bytes.toString('base64')]),
      ssh: [...credentials.ssh],
    },
    around,
  );
  const steps = [...known.steps, ...results.steps];
  const answers = [...known.answers, ...results.answers];
  return writeResults({ layers: results.layers, steps, answers }, config, request, around);
}

const NOTHING: PlanResults = { layers: undefined, steps: [], answers: [] };

function jobOf(request: BuildRequest, { plan, images }: RequestPlan, around: BuildContext): Job {
  const { name, dockerfile: file, network, variation } = request;
  return {
    name,
    file,
    plan,
    images: Object.fromEntries([...images].map(([key, image]) => [key, layersOf(image)])),
    network,
    cacheScope: request.cacheScope,
    emptyCaches: request.emptyCaches,
    noCache: (request.noCache ?? false) || variation !== undefined,
    cpus: request.cpus ?? availableParallelism(),
    keepLayers: request.keepLayers ?? isExported(request, around),
    variation,
  };
}

/** Looks up the steps in the caches, and reports those that are known. */
async function lookUp(job: Job, context: Context, around: BuildContext): Promise<PlanResults> {
  const { store, reporter, signal } = around;
  const layers = new LayerDirs(store, chooseNamespace(processUid()).owner);
  const remote = around.cache?.imports === true ? around.cache : undefined;
  const parts = { store, cache: new StepCache(store), layers, context, remote };
  const known = await lookUpPlan(job, parts, signal);
  for (const { stage: index, number } of known.steps) {
    const stage = job.plan.stages.find((one) => one.index === index);
    const step = stage?.steps[number - 1];
    if (stage === undefined || step === undefined)
      throw new Error('a known step is not in the plan');
    const { id, title } = stepLabel(job, { stage, step, number });
    reporter.emit({ kind: 'start', id, title });
    reporter.emit({ kind: 'done', id, cached: true });
  }
  return known;
}

async function writeResults(
  { layers, steps, answers }: PlanResults,
  config: ReturnType<typeof imageMetadata>,
  request: BuildRequest,
  around: BuildContext,
): Promise<Descriptor> {
  around.signal?.throwIfAborted();
  if (isExported(request, around)) {
    for (const { key, layer } of steps) around.cache?.add(key, layer);
    for (const { key, answer } of answers) around.cache?.add(key, answer);
  }
  for (const step of steps) around.onStep?.(step);
  const blobs = (layers ?? []).map(({ diffId, descriptor }) => {
    if (descriptor === null) throw new Error(`layer ${diffId} of the image has no blob`);
    return { diffId, descriptor };
  });
  return writeImage(around.store, { config, layers: blobs, platform: request.platform });
}

/** Reports whether the steps of this build are added to the remote cache. */
function isExported({ variation }: BuildRequest, { cache }: BuildContext): boolean {
  return cache?.exports === true && variation === undefined;
}
