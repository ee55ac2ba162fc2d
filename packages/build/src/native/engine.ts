import { realpath } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Digest, LktError, type ProgressEvent } from '@lkt/core';
import { type Descriptor, writeImage } from '@lkt/oci';
import { Context } from '../context.ts';
import type { BuildContext, BuildRequest, Engine } from '../engine.ts';
import { imageMetadata } from '../image-metadata.ts';
import { layersOf, planRequest } from '../request-plan.ts';
import { fetchRemoteFiles } from '../remote-files.ts';
import { type Credentials, readCredentials, refuseSecretConfig } from '../secrets.ts';
import { StepCache } from '../step-cache.ts';
import type { Job } from './job.ts';
import { LayerDirs } from './layer-dirs.ts';
import { chooseNamespace, namespaceIn } from './namespace.ts';
import { CacheMiss, PlanRunner } from './plan-runner.ts';
import { refuseUnsupported } from './unsupported.ts';
import { runWorker } from './worker-client.ts';
import type { BuildOutcome } from './worker-protocol.ts';

/**
 * The engine that needs nothing but Linux: overlay mounts, namespaces, and unshare(1).
 *
 * A build of which every step is known only reads the cache. On the first step that is not, a worker process is started
 * in a mount namespace of its own (without root: in a user namespace as well), and it does the rest.
 */
export function nativeEngine(): Engine {
  return { build };
}

async function build(request: BuildRequest, around: BuildContext): Promise<Descriptor> {
  const { store, signal } = around;
  const { plan, target, images } = await planRequest(request, around);
  const job: Job = {
    name: request.name,
    file: request.dockerfile,
    plan,
    context: request.context,
    images: Object.fromEntries([...images].map(([key, image]) => [key, layersOf(image)])),
    network: request.network,
    noCache: (request.noCache ?? false) || request.world !== undefined,
    cpus: request.cpus ?? availableParallelism(),
    keepLayers: request.keepLayers ?? false,
    ...(request.world === undefined ? {} : { world: request.world }),
    limits: request.limits ?? {},
    executor: request.executor ?? 'init',
  };
  const memo = new Map<string, Digest>();
  const context = new Context(request.context, { memo });
  refuseUnsupported(job);
  const config = imageMetadata(target, request.labels);
  const work = async (): Promise<BuildOutcome> => {
    const credentials = await readCredentials(plan, job.file, request);
    refuseSecretConfig(config, credentials);
    await fetchRemoteFiles(plan, job.file, request.name, around);
    return runJob(job, around, memo, credentials);
  };
  const { chain, steps } = await (job.noCache
    ? work()
    : fromCache(job, around, context).catch(async (error: unknown) => {
        if (!(error instanceof CacheMiss)) throw error;
        return work();
      }));
  signal?.throwIfAborted();
  for (const step of steps) around.onStep?.(step);
  return writeImage(store, {
    config,
    layers: chain.map(({ diffId, descriptor }) => {
      if (descriptor === null) throw new Error(`layer ${diffId} of the image has no blob`);
      return { diffId, descriptor };
    }),
    platform: request.platform,
  });
}

/** @throws CacheMiss when a step has to be done; then nothing has been reported. */
async function fromCache(
  job: Job,
  { store, reporter, signal }: BuildContext,
  context: Context,
): Promise<BuildOutcome> {
  const events: ProgressEvent[] = [];
  const { owner } = chooseNamespace(processUid());
  const runner = new PlanRunner(
    job,
    {
      store,
      cache: new StepCache(store),
      layers: new LayerDirs(store, owner),
      context,
      reporter: { emit: (event: ProgressEvent) => void events.push(event) },
    },
    signal,
  );
  const chain = await runner.run();
  for (const event of events) reporter.emit(event);
  return { chain, steps: runner.results };
}

async function runJob(
  job: Job,
  { store, reporter, signal }: BuildContext,
  memo: ReadonlyMap<string, Digest>,
  { secrets, ssh }: Credentials,
): Promise<BuildOutcome> {
  const uid = processUid();
  return runWorker(
    {
      job,
      store: await realpath(store.dir),
      digests: [...memo],
      secrets: [...secrets].map(([id, bytes]) => [id, bytes.toString('base64')]),
      ssh: [...ssh],
    },
    job.world === undefined ? chooseNamespace(uid) : namespaceIn(job.world, uid),
    {
      reporter,
      uid,
      ...(signal === undefined ? {} : { signal }),
    },
  );
}

function processUid(): number {
  const uid = process.geteuid?.();
  if (process.platform !== 'linux' || uid === undefined) {
    throw new LktError('HOST_UNSUPPORTED', 'the native engine builds on Linux only', {
      fix: 'build on Linux',
    });
  }
  return uid;
}
