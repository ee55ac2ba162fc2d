import { availableParallelism } from 'node:os';
import type { Digest, ProgressEvent } from '@lkt/core';
import { type Descriptor, writeImage } from '@lkt/oci';
import { Context } from './context/context.ts';
import type { BuildContext, BuildRequest, Engine } from './engine.ts';
import { imageMetadata } from '@lkt/dockerfile';
import { layersOf, planRequest } from './request-plan.ts';
import { fetchGitFiles } from './add/git-layers.ts';
import { fetchRemoteFiles } from './add/remote-files.ts';
import { type Credentials, readCredentials, refuseSecretConfig } from './secrets/secrets.ts';
import type { RemoteStepCache } from './remote-cache/remote-step-cache.ts';
import { StepCache } from './step-cache.ts';
import type { Layers } from './layers/layers.ts';
import type { Job } from './worker/job.ts';
import { LayerDirs } from './layers/layer-dirs.ts';
import { chooseNamespace } from './worker/namespace.ts';
import { PlanRunner } from './steps/plan-runner.ts';
import { CacheMiss } from './steps/step-executor.ts';
import { refuseUnsupported } from './steps/unsupported.ts';
import { runWorker } from './worker/worker-client.ts';
import { processUid, WorkerProcess } from './worker/worker-process.ts';
import type { BuildOutcome, WorkerJob } from './worker/worker-protocol.ts';

/**
 * The engine that needs nothing but Linux: overlay mounts, namespaces, and unshare(1).
 *
 * A build of which every step is known only reads the cache. On the first step that is not, a worker process is started
 * in a mount namespace of its own (without root: in a user namespace as well), and it does the rest.
 * @param waiting a worker that was started before, for a build in its place
 */
export function nativeEngine(waiting?: WorkerProcess): Engine {
  return { build: async (request, around) => build(request, around, waiting) };
}

async function build(
  request: BuildRequest,
  around: BuildContext,
  waiting: WorkerProcess | undefined,
): Promise<Descriptor> {
  const { store, signal } = around;
  const { plan, target, images } = await planRequest(request, around);
  const job: Job = {
    name: request.name,
    file: request.dockerfile,
    plan,
    context: request.context,
    images: Object.fromEntries([...images].map(([key, image]) => [key, layersOf(image)])),
    network: request.network,
    noCache: (request.noCache ?? false) || request.variation !== undefined,
    cpus: request.cpus ?? availableParallelism(),
    keepLayers: request.keepLayers ?? isExported(request, around),
    variation: request.variation,
    limits: request.limits ?? {},
    executor: request.executor ?? 'init',
  };
  const memo = new Map(around.digests);
  const context = new Context(request.context, { memo });
  refuseUnsupported(job);
  const config = imageMetadata(target, request.labels);
  const finish = async (outcome: BuildOutcome): Promise<Descriptor> => {
    signal?.throwIfAborted();
    if (isExported(request, around)) handOn(outcome, around);
    for (const step of outcome.steps) around.onStep?.(step);
    const layers = outcome.layers.map(({ diffId, descriptor }) => {
      if (descriptor === null) throw new Error(`layer ${diffId} of the image has no blob`);
      return { diffId, descriptor };
    });
    return writeImage(store, { config, layers, platform: request.platform });
  };
  if (!job.noCache) {
    const known = await fromCaches(job, around, context).catch((error: unknown) => {
      if (!(error instanceof CacheMiss)) throw error;
      return undefined;
    });
    if (known !== undefined) return finish(known);
  }
  const credentials = await readCredentials(plan, job.file, request);
  refuseSecretConfig(config, credentials);
  await fetchRemoteFiles(plan, request, around);
  const gitFiles = await fetchGitFiles(plan, job.file, request.name, around);
  const whole = { ...job, gitFiles: Object.fromEntries(gitFiles) };
  const worker = around.worker ?? workerFor(job, around, waiting);
  return runWorker(worker, workerJob(whole, memo, credentials), around, finish);
}

function isExported({ variation }: BuildRequest, { cache }: BuildContext): boolean {
  return cache?.exports === true && variation === undefined;
}

function handOn({ steps, answers }: BuildOutcome, { cache }: BuildContext): void {
  for (const { key, layer } of steps) cache?.add(key, layer);
  for (const { key, answer } of answers) cache?.add(key, answer);
}

/** The cache of this machine, and if it lacks something, those of others. @throws CacheMiss as `fromCache` */
async function fromCaches(job: Job, around: BuildContext, context: Context): Promise<BuildOutcome> {
  const remote = around.cache;
  if (remote?.imports !== true) return fromCache(job, around, context);
  return fromCache(job, around, context).catch(async (error: unknown) => {
    if (!(error instanceof CacheMiss)) throw error;
    return fromCache(job, around, context, remote);
  });
}

/**
 * @param remote asked for what is not in the store. The layers it has are brought there: those of the image if it has all
 * steps, else all that it has, so that what is left can be done.
 * @throws CacheMiss when a step has to be done; then nothing has been reported.
 */
async function fromCache(
  job: Job,
  { store, reporter, signal }: BuildContext,
  context: Context,
  remote?: RemoteStepCache,
): Promise<BuildOutcome> {
  const events: ProgressEvent[] = [];
  const { owner } = chooseNamespace(processUid());
  const cache = new StepCache(store);
  const runner = new PlanRunner(
    job,
    {
      store,
      cache,
      layers: new LayerDirs(store, owner),
      context,
      reporter: { emit: (event: ProgressEvent) => void events.push(event) },
      remote,
    },
    signal,
  );
  let missed: CacheMiss | undefined;
  const layers = await runner.run().catch((error: unknown): Layers => {
    if (!(error instanceof CacheMiss) || remote === undefined) throw error;
    missed = error;
    return [];
  });
  if (remote !== undefined) {
    const needed = new Set(layers.map(({ diffId }) => diffId));
    const remoteRecords = [...runner.remoteRecords].filter(
      ([, { diffId }]) => missed !== undefined || needed.has(diffId),
    );
    await Promise.all(
      remoteRecords.map(async ([key, record]) => {
        if (await remote.fetch(store, record, signal)) await cache.store(key, record);
        else missed ??= new CacheMiss();
      }),
    );
    if (missed !== undefined) throw missed;
  }
  for (const event of events) reporter.emit(event);
  return { layers, steps: runner.results, answers: runner.answers };
}

function workerFor(
  { limits, executor, variation }: Job,
  { store, signal }: BuildContext,
  waiting: WorkerProcess | undefined,
): WorkerProcess {
  signal?.throwIfAborted();
  const options = { store: store.dir, limits, executor, environment: variation };
  if (waiting?.take(options) === true) return waiting;
  return WorkerProcess.start(options);
}

function workerJob(
  job: Job,
  memo: ReadonlyMap<string, Digest>,
  { secrets, ssh }: Credentials,
): WorkerJob {
  return {
    job,
    digests: [...memo],
    secrets: [...secrets].map(([id, bytes]) => [id, bytes.toString('base64')]),
    ssh: [...ssh],
  };
}
