import { availableParallelism } from 'node:os';
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
import { type PlanResults, stepLabel } from './steps/plan-walk.ts';
import { refuseUnsupported } from './steps/unsupported.ts';
import type { Job } from './worker/job.ts';
import { chooseNamespace } from './worker/namespace.ts';
import { runWorker } from './worker/worker-client.ts';
import { processUid, WorkerProcess } from './worker/worker-process.ts';

/**
 * Returns the engine that builds on this machine. It needs nothing but Linux: overlay mounts,
 * namespaces and unshare(1).
 *
 * A build looks up its steps in the caches. If some are missing, a worker process runs them in a
 * mount namespace of its own, and without root in a user namespace as well.
 * @param waiting a worker that was started early, for the first build with the same options
 */
export function nativeEngine(waiting?: WorkerProcess): Engine {
  return { build: async (request, around) => build(request, around, waiting) };
}

async function build(
  request: BuildRequest,
  around: BuildContext,
  waiting: WorkerProcess | undefined,
): Promise<Descriptor> {
  const planned = await planRequest(request, around);
  const job = jobOf(request, planned, around);
  const { executor = 'init', limits = {} } = request;
  refuseUnsupported(job, executor);
  const config = imageMetadata(planned.target, request.labels);
  const { tree = new Context(request.context) } = around;
  const known = job.noCache ? NOTHING : await lookUp(job, tree, around);
  if (known.layers !== undefined) return writeResults(known, config, request, around);

  const credentials = await readCredentials(job.plan, job.file, request);
  refuseSecretConfig(config, credentials);
  await fetchRemoteFiles(job.plan, request, around);
  const gitFiles = await fetchGitFiles(job.plan, job.file, request.name, around);
  around.signal?.throwIfAborted();
  const { dir, sealed } = around.store;
  const setup = { store: dir, key: sealed.key, limits, executor, environment: job.variation };
  const worker =
    around.worker ?? (waiting?.take(setup) === true ? waiting : WorkerProcess.start(setup));
  const results = await runWorker(
    worker,
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
