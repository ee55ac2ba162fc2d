import { mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { removeTree } from '@lkt/oci';
import { Context } from '../context/context.ts';
import { StepCache } from '../step-cache.ts';
import { OverlayExecutor } from '../steps/executor.ts';
import { missingRuns } from '../steps/missing-runs.ts';
import { type PlanResults, walkPlan } from '../steps/plan-walk.ts';
import { StepRunner } from '../steps/step-runner.ts';
import { syncFileSystem } from '../system/sync-file-system.ts';
import { memoryFor } from './layer-memory.ts';
import { type WorkerContext, withWorkerContext } from './worker-context.ts';
import type { WorkerJob, WorkerSetup } from './worker-protocol.ts';

/** Runs jobs, each a line of JSON, one after the other in a worker context. */
export async function runJobs(
  setup: WorkerSetup,
  parts: Pick<WorkerContext, 'groups' | 'inits' | 'signal' | 'emit'>,
  lines: AsyncIterator<string, undefined>,
  onResults: (results: PlanResults) => void,
): Promise<void> {
  await withWorkerContext(setup, parts, async (worker) => {
    for (;;) {
      const { value: line } = await lines.next();
      if (line === undefined) return;
      onResults(await runJob(worker, JSON.parse(line) as WorkerJob));
    }
  });
}

/**
 * Runs the steps of a job that are not known. In a varied environment, later jobs reuse only the
 * unpacked base images of earlier ones.
 */
async function runJob(worker: WorkerContext, job: WorkerJob): Promise<PlanResults> {
  const isVaried = worker.setup.environment !== undefined;
  if (isVaried) await freeMemory(worker, job);
  const work = isVaried ? `${worker.work}/job` : worker.work;
  const own = { work, temp: `${worker.temp}/job` };
  const made = new Set(isVaried ? [own.work, own.temp] : [own.temp]);
  for (const directory of made) mkdirSync(directory);
  const results = await runSteps({ ...worker, ...own }, job);
  process.chdir('/');
  for (const directory of made) await removeTree(directory);
  return results;
}

/** Removes layers from memory if the job does not fit beside them. */
async function freeMemory({ setup, layers }: WorkerContext, { images }: WorkerJob): Promise<void> {
  if (setup.environment?.memory === undefined) return;
  const { bavail, bsize } = statfsSync(layers.dir);
  if (bavail * bsize >= memoryFor(Object.values(images).flat())) return;
  for (const name of readdirSync(layers.dir))
    if (name !== 'tmp') await removeTree(`${layers.dir}/${name}`);
}

async function runSteps(worker: WorkerContext, job: WorkerJob): Promise<PlanResults> {
  const { setup, store, layers, work, inits, emit } = worker;
  const { known } = job;
  const context = new Context(job.context);
  const cache = new StepCache(store, work);
  if (setup.executor === 'init') inits.expect(missingRuns(job));
  const abort = new AbortController();
  const signal = AbortSignal.any([worker.signal, abort.signal]);
  const executor = new OverlayExecutor({ ...worker, job, context, signal });
  const parts = { job, store, cache, layers, executor, reporter: { emit }, signal };
  const solver = new StepRunner(parts);
  const settled = layers.settle(async () => syncFileSystem(store.dir));
  // Awaited in the end.
  settled.catch(() => undefined);
  try {
    return await walkPlan({ job, context, cache, solver, known, abort, signal });
  } finally {
    await executor.close();
    await settled;
  }
}
