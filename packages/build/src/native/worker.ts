/**
 * The process that builds: alone in a mount namespace, root in it. Gets a job on standard input, and says on descriptor
 * 3, a line of JSON each, what goes on and how it ended. Started by worker-client.ts.
 */
import { chmodSync, closeSync, openSync, statfsSync, mkdirSync, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { type Digest, growHeapSlowly, isErrno, LktError } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { Context } from '../context.ts';
import { StepCache } from '../step-cache.ts';
import { Cgroups } from './cgroup.ts';
import { OverlayExecutor } from './executor.ts';
import { Inits } from './inits.ts';
import { LayerDirs } from './layer-dirs.ts';
import { PlanRunner } from './plan-runner.ts';
import { detach, mount, prctl, setHostname, syncFileSystem } from './syscalls.ts';
import type { BuildOutcome, WorkerMessage, WorkerRequest } from './worker-protocol.ts';

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

const abort = new AbortController();
process.on('SIGTERM', () => abort.abort(new LktError('INTERRUPTED', 'the build was interrupted')));

void main();

async function main(): Promise<never> {
  const request = JSON.parse(await text(process.stdin)) as WorkerRequest;
  growHeapSlowly();
  // With the process that waits for this one, all of it ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (process.ppid !== request.parent) process.exit(1);
  process.umask(0o022);
  try {
    say({ kind: 'result', ...(await build(request)) });
  } catch (error) {
    const known = hostError(error);
    if (known instanceof LktError) {
      const { code, message, fix, detail } = known;
      const cause = known.cause instanceof Error ? known.cause.message : undefined;
      say({ kind: 'error', code, message, fix, detail, cause });
    } else {
      say({ kind: 'crash', stack: error instanceof Error ? (error.stack ?? '') : String(error) });
    }
  }
  process.exit(0);
}

async function build({
  job,
  store: dir,
  owner,
  isRoot,
  hasUsers,
  digests,
  secrets,
  ssh,
}: WorkerRequest): Promise<BuildOutcome> {
  const { world } = job;
  const store = await openStore(dir);
  await using temporary = await store.tempDir();
  chmodSync(temporary.path, 0o700);
  // In another world nothing is known, and nothing is left.
  const work = world === undefined ? dir : temporary.path;
  const layers = new LayerDirs(store, owner, work);
  await layers.create();
  if (world !== undefined) setHostname(world.hostname);
  const isFleeting = statfsSync(dir).type === OVERLAYFS_SUPER_MAGIC;
  const inMemory = isFleeting || world?.memory !== undefined;
  if (inMemory) {
    // An overlay cannot hold the upper directory of another, nor whiteouts. Memory can.
    const size = world?.memory === undefined ? '' : `,size=${world.memory}`;
    mount('tmpfs', layers.dir, { type: 'tmpfs', data: `mode=700${size}` });
    mkdirSync(`${layers.dir}/tmp`);
  }
  if (isFleeting) {
    emitWarning(
      `the store is on an overlay file system: layers are unpacked in memory (put it on a volume with LKT_CACHE)`,
    );
  }
  const memo = new Map<string, Digest>(digests);
  const context = new Context(job.context, { memo });
  const reporter = {
    emit: (event: Extract<WorkerMessage, { kind: 'event' }>['event']) =>
      say({ kind: 'event', event }),
  };
  const cache = new StepCache(store, work);
  const executorAbort = new AbortController();
  const signal = AbortSignal.any([abort.signal, executorAbort.signal]);
  const groups = new Cgroups();
  const temp = inMemory ? `${layers.dir}/tmp` : temporary.path;
  const commands = job.plan.stages.flatMap(({ steps }) =>
    steps.filter(({ kind }) => kind === 'run'),
  );
  const inits = new Inits(
    { store: dir, directory: temp, limits: job.limits, groups },
    commands.length,
  );
  const executor = new OverlayExecutor({
    groups,
    inits,
    job,
    store,
    layers,
    context,
    work,
    temp,
    signal,
    isRoot,
    canSetGroups: hasUsers,
    isFleeting,
    credentials: {
      secrets: new Map(secrets.map(([id, bytes]) => [id, Buffer.from(bytes, 'base64')])),
      ssh: new Map(ssh),
    },
  });
  const runner = new PlanRunner(
    job,
    { store, cache, layers, context, reporter, executor },
    abort.signal,
  );
  runner.signal.addEventListener('abort', () => executorAbort.abort(runner.signal.reason));
  try {
    return { chain: await runner.run(), steps: runner.results, answers: runner.answers };
  } finally {
    await inits.close();
    executor.close();
    await groups.close();
    process.chdir('/');
    if (inMemory) detach(layers.dir);
    const file = openSync(dir, 'r');
    syncFileSystem(file);
    closeSync(file);
    await cache.settle();
  }
}

/** What the file system of the store says about space and itself, as an error for the user. */
function hostError(error: unknown): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new LktError('DISK_FULL', 'no space left for the layers of the build', {
      cause: error,
      fix: 'free some space, for example with: lkt cache clean',
    });
  }
  if (!isErrno(error, 'EROFS', 'EIO', 'EACCES', 'EMFILE', 'ENFILE', 'ENAMETOOLONG')) return error;
  return new LktError('IO_FAILED', 'cannot build in the store', { cause: error });
}

function emitWarning(message: string): void {
  say({ kind: 'event', event: { kind: 'warning', text: message } });
}

function say(message: WorkerMessage): void {
  const data = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let done = 0; done < data.length;) {
    try {
      done += writeSync(3, data, done);
    } catch (error) {
      // The reader is behind, and the pipe does not wait.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
