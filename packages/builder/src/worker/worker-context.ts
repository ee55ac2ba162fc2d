import { chmodSync, mkdirSync, statfsSync } from 'node:fs';
import type { ProgressEvent } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import type { Cgroups } from '../cgroup/cgroup.ts';
import type { Context } from '../context/context.ts';
import type { Inits } from '../sandbox/inits.ts';
import { LayerDirs } from '../layers/layer-dirs.ts';
import { isWholeLayer } from '../layers/layer-hash.ts';
import { otherDevices } from './other-devices.ts';
import { makeTopDir } from './top-dir.ts';
import { detach, mount, setHostname } from '../system/syscalls.ts';
import type { WorkerJob, WorkerSetup } from './worker-protocol.ts';

const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/** The directories and helpers of a worker, made before a job is known. */
export interface WorkerContext {
  readonly setup: WorkerSetup;
  readonly store: Store;
  readonly layers: LayerDirs;
  /** Directory of the records and cache mounts that later builds find. */
  readonly work: string;
  /** A directory on the file system of the layers. */
  readonly temp: string;
  /** Whether directories of layers end with this process. */
  readonly isFleeting: boolean;
  readonly groups: Cgroups;
  readonly inits: Inits;
  readonly signal: AbortSignal;
  readonly emit: (event: ProgressEvent) => void;
}

/** A worker context with a job. */
export interface JobContext extends WorkerContext {
  readonly job: WorkerJob;
  readonly context: Context;
}

/** Runs `use` in a worker context, and removes the context afterwards. */
export async function withWorkerContext(
  setup: WorkerSetup,
  { groups, inits, signal, emit }: Pick<WorkerContext, 'groups' | 'inits' | 'signal' | 'emit'>,
  use: (worker: WorkerContext) => Promise<void>,
): Promise<void> {
  const { store: dir, key, environment, owner } = setup;
  const store = await openStore(dir, { key: () => key });
  await using temporary = await store.tempDir();
  chmodSync(temporary.path, 0o700);
  // A varied environment starts without known steps, and leaves none.
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
    // An overlay file system cannot hold upper directories or whiteouts; memory can.
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
