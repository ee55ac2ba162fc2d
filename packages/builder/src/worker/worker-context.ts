import { chmodSync, mkdirSync, readdirSync, statfsSync } from 'node:fs';
import type { ProgressEvent } from '@lkt/core';
import { openStore, removeTree, type Store } from '@lkt/oci';
import { Context } from '../context/context.ts';
import { StepCache } from '../step-cache.ts';
import type { Cgroups } from '../cgroup/cgroup.ts';
import { OverlayExecutor } from '../steps/executor.ts';
import type { Inits } from '../sandbox/inits.ts';
import type { Job } from './job.ts';
import { LayerDirs } from '../layers/layer-dirs.ts';
import { isWholeLayer } from '../layers/layer-hash.ts';
import { otherDevices } from './other-devices.ts';
import { memoryFor } from './layer-memory.ts';
import { makeTopDir } from './top-dir.ts';
import { PlanRunner } from '../steps/plan-runner.ts';
import { syncFileSystem } from '../system/sync-file-system.ts';
import { detach, mount, setHostname } from '../system/syscalls.ts';
import type { BuildOutcome, WorkerJob, WorkerSetup } from './worker-protocol.ts';

const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/** What a worker builds with, made before it is known what to build. */
export interface WorkerContext {
  readonly setup: WorkerSetup;
  readonly store: Store;
  readonly layers: LayerDirs;
  /** Where what is found again by later builds is kept. */
  readonly work: string;
  /** A directory on the file system of the layers. */
  readonly temp: string;
  /** Whether directories of layers go with this process. */
  readonly isFleeting: boolean;
  readonly groups: Cgroups;
  readonly inits: Inits;
  readonly signal: AbortSignal;
  readonly emit: (event: ProgressEvent) => void;
}

/** Runs `use` in a worker context, and removes the context afterwards. */
export async function withWorkerContext(
  setup: WorkerSetup,
  { groups, inits, signal, emit }: Pick<WorkerContext, 'groups' | 'inits' | 'signal' | 'emit'>,
  use: (worker: WorkerContext) => Promise<void>,
): Promise<void> {
  const { store: dir, environment, owner } = setup;
  const store = await openStore(dir);
  await using temporary = await store.tempDir();
  chmodSync(temporary.path, 0o700);
  // In another world nothing is known, and nothing is left.
  const work = environment === undefined ? dir : temporary.path;
  const layers = new LayerDirs(store, owner, work);
  await layers.create(isWholeLayer);
  using changed = new DisposableStack();
  if (environment !== undefined) {
    setHostname(environment.hostname);
    changed.use(otherDevices(`${temporary.path}/devices`));
  }
  const isFleeting = statfsSync(dir).type === OVERLAYFS_SUPER_MAGIC;
  const inMemory = isFleeting || environment?.memory !== undefined;
  if (inMemory) {
    // An overlay cannot hold the upper directory of another, nor whiteouts. Memory can.
    const size = environment?.memory === undefined ? '' : `,size=${environment.memory}`;
    mount('tmpfs', layers.dir, { type: 'tmpfs', data: `mode=700${size}` });
    mkdirSync(`${layers.dir}/tmp`);
  }
  if (isFleeting) {
    const text =
      'the store is on an overlay file system: layers are unpacked in memory (put it on a volume with LKT_CACHE)';
    emit({ kind: 'warning', text });
  }
  const temp = inMemory ? `${layers.dir}/tmp` : makeTopDir(temporary.path);
  try {
    const worker = { setup, store, layers, work, temp, isFleeting, groups, inits, signal, emit };
    await use(worker);
  } finally {
    process.chdir('/');
    if (inMemory) detach(layers.dir);
  }
}

/**
 * Does a job. In another world one may follow another, each of which finds the images unpacked that those before it were on,
 * and nothing else of them.
 */
export async function buildIn(worker: WorkerContext, job: WorkerJob): Promise<BuildOutcome> {
  if (worker.setup.environment === undefined) return build(worker, job);
  await makeRoom(worker, job.job);
  const own = { work: `${worker.work}/job`, temp: `${worker.temp}/job` };
  for (const directory of new Set(Object.values(own))) mkdirSync(directory);
  const outcome = await build({ ...worker, ...own }, job);
  process.chdir('/');
  for (const directory of new Set(Object.values(own))) await removeTree(directory);
  return outcome;
}

/** Removes what was unpacked in memory if the rest of it is not enough. */
async function makeRoom({ setup, layers }: WorkerContext, { images }: Job): Promise<void> {
  if (setup.environment?.memory === undefined) return;
  const { bavail, bsize } = statfsSync(layers.dir);
  if (bavail * bsize >= memoryFor(Object.values(images).flat())) return;
  for (const name of readdirSync(layers.dir))
    if (name !== 'tmp') await removeTree(`${layers.dir}/${name}`);
}

async function build(
  worker: WorkerContext,
  { job, digests, secrets, ssh }: WorkerJob,
): Promise<BuildOutcome> {
  const { setup, store, layers, work, temp, isFleeting, groups, inits, signal, emit } = worker;
  const context = new Context(job.context, { memo: new Map(digests) });
  const cache = new StepCache(store, work);
  const executorAbort = new AbortController();
  const steps = job.plan.stages.flatMap((stage) => stage.steps);
  if (setup.executor === 'init') inits.expect(steps.filter(({ kind }) => kind === 'run').length);
  const executor = new OverlayExecutor({
    groups,
    inits,
    job,
    store,
    layers,
    context,
    work,
    temp,
    signal: AbortSignal.any([signal, executorAbort.signal]),
    isRoot: setup.isRoot,
    canSetGroups: setup.hasUsers,
    isFleeting,
    credentials: {
      secrets: new Map(secrets.map(([id, bytes]) => [id, Buffer.from(bytes, 'base64')])),
      ssh: new Map(ssh),
    },
  });
  const runner = new PlanRunner(
    job,
    { store, cache, layers, context, reporter: { emit }, executor },
    signal,
  );
  runner.signal.addEventListener('abort', () => executorAbort.abort(runner.signal.reason));
  const settled = layers.settle(async () => syncFileSystem(store.dir));
  // Awaited in the end.
  settled.catch(() => undefined);
  try {
    return { layers: await runner.run(), steps: runner.results, answers: runner.answers };
  } finally {
    await executor.close();
    await settled;
  }
}
