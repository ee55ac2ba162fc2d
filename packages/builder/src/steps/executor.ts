import { join } from 'node:path';
import { type Digest, LktError, sourceError } from '@lkt/core';
import { type RawPath, type Store, writeLayer } from '@lkt/oci';
import type { Context } from '../context/context.ts';
import {
  type CopyPlan,
  type CopyStep,
  planCopy,
  type Step,
  type WorkdirStep,
} from '@lkt/dockerfile';
import { SecretFinder } from '../secrets/secret-finder.ts';
import type { Credentials } from '../secrets/secrets.ts';
import type { StepRecord } from '../step-cache.ts';
import { addRemote, unpackContext } from '../add/add-files.ts';
import type { Cgroups } from '../cgroup/cgroup.ts';
import { LayerMounts } from '../layers/layer-mounts.ts';
import { copyContext, copyTree } from '../copy/copy-files.ts';
import { CopyTarget } from '../copy/copy-target.ts';
import { HostTree } from '../copy/host-tree.ts';
import type { Inits } from '../sandbox/inits.ts';
import type { Layers, LayerRef } from '../layers/layers.ts';
import type { Job } from '../worker/job.ts';
import type { LayerDirs } from '../layers/layer-dirs.ts';
import { layerEntries } from '../layers/layer-entries.ts';
import { makeWorkdir } from './make-workdir.ts';
import type { UpperMount } from '../layers/overlay.ts';
import { PrivateFiles } from '../secrets/private-files.ts';
import { statAt } from '../system/raw-fs.ts';
import { Redactor } from '../secrets/redactor.ts';
import { resolveIn } from '../system/rooted.ts';
import { runCommand } from '../run/run.ts';
import { mountVariables, prepareMount } from '../run/run-mounts.ts';
import { findLeak } from '../secrets/secret-scan.ts';
import { selectionDigest } from '../copy/selection.ts';
import type { CopyWork, LayerOptions, RunWork, StepExecutor } from './step-executor.ts';
import { hashUpper, writeUpper } from '../layers/upper-layer.ts';
import { diffUpper } from '../layers/upper.ts';
import { withLocks } from './with-locks.ts';

export interface ExecutorParts {
  readonly job: Job;
  readonly store: Store;
  readonly layers: LayerDirs;
  readonly context: Context;
  /** Where what is found again by later builds is kept, such as cache mounts. */
  readonly work: string;
  /** A directory on the file system of the layers. */
  readonly temp: string;
  readonly signal: AbortSignal;
  /** Root of the machine, not of a user namespace. */
  readonly isRoot: boolean;
  readonly canSetGroups: boolean;
  readonly groups: Cgroups;
  readonly inits: Inits;
  /** Whether directories of layers go with this process, so that every layer needs a blob to be found again. */
  readonly isFleeting: boolean;
  readonly credentials: Credentials;
}

/**
 * Does steps with overlay mounts. Runs in a mount namespace of its own; everything it mounts ends with the process.
 *
 * Every step is the same: the layers below are mounted with an empty directory over them, something changes files in
 * there, and what the directory holds then is the layer.
 */
export class OverlayExecutor implements StepExecutor {
  readonly #parts: ExecutorParts;
  readonly #mounts: LayerMounts;
  readonly #secrets: SecretFinder;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    const { job, store, layers, temp, signal, isRoot } = parts;
    // Root without its rights could, and must not go on without them: commands would see other files.
    const canMakeDevices = isRoot || job.variation?.userNamespace === true;
    this.#mounts = new LayerMounts({ store, layers, temp, canMakeDevices, signal });
    this.#secrets = new SecretFinder(parts.credentials.secrets);
  }

  /** Ends the mounts. */
  async close(): Promise<void> {
    await this.#mounts.close();
  }

  async isDirectory(layers: Layers, path: RawPath): Promise<boolean> {
    const root = await this.#mounts.lower(layers);
    const real = resolveIn(root, path);
    return real !== undefined && statAt(root, real)?.isDirectory() === true;
  }

  async selectionDigest(step: CopyStep, from: Layers, isDirectory: boolean): Promise<Digest> {
    const tree = new HostTree(await this.#mounts.lower(from));
    return selectionDigest(tree, this.#plan(step, tree, isDirectory), this.#parts.signal);
  }

  async copy(parent: Layers, work: CopyWork, options: LayerOptions): Promise<StepRecord> {
    const { job, context, store, signal, isRoot } = this.#parts;
    const { step, from, isDirectory, parts } = work;
    const tree = from === undefined ? undefined : new HostTree(await this.#mounts.lower(from));
    return this.#layer(parent, step, options, async ({ root }) => {
      if (tree !== undefined) {
        const target = new CopyTarget(root, step, job.file, signal);
        await copyTree(target, tree, this.#plan(step, tree, isDirectory));
        return;
      }
      for (const part of parts) {
        // What one part makes may change where a path of the next one leads.
        const target = new CopyTarget(root, step, job.file, signal);
        if ('archive' in part) await unpackContext(target, context, part.archive, isRoot);
        else if ('remote' in part) await addRemote(target, store, part.remote, isRoot);
        else await copyContext(target, context, part);
      }
    });
  }

  async workdir(parent: Layers, step: WorkdirStep, options: LayerOptions): Promise<StepRecord> {
    return this.#layer(parent, step, options, async ({ root }) =>
      makeWorkdir(root, step, this.#parts.job.file),
    );
  }

  async run(parent: Layers, work: RunWork, options: LayerOptions): Promise<StepRecord> {
    const {
      job,
      context,
      store,
      work: kept,
      isRoot,
      canSetGroups,
      groups,
      inits,
      signal,
    } = this.#parts;
    const { step, network, log } = work;
    const { credentials } = this.#parts;
    return this.#layer(parent, step, options, async ({ root, directory }) => {
      const hasPrivate = step.mounts.some(({ type }) => type === 'secret' || type === 'ssh');
      await using privates = hasPrivate
        ? new PrivateFiles(join(this.#parts.temp, this.#mounts.name()))
        : undefined;
      const prepared = await Promise.all(
        step.mounts.map(async (mount, index) =>
          prepareMount(mount, work.mounts[index], {
            job,
            context,
            store: kept,
            keep: async (path) => store.use(path),
            owner: isRoot ? 'root' : 'user',
            signal,
            credentials,
            privates,
            mountLower: async (layers) => this.#mounts.lower(layers),
            mountOwn: async (layers) => (await this.#mounts.upper(layers)).root,
          }),
        ),
      );
      const mounts = prepared.filter((mount) => mount !== undefined);
      const variables = mountVariables(step, credentials, job.file);
      await withLocks(
        mounts.map(({ lock }) => lock),
        async (name, run) => store.withLock(name, run, { signal, timeoutMs: 24 * 3600 * 1000 }),
        async () => {
          await runCommand({
            step: { ...step, env: [...step.env, ...variables] },
            file: job.file,
            store: store.dir,
            root,
            // What it is told may hold a secret.
            directory: privates?.directory ?? directory,
            mounts: mounts.map(({ mount }) => mount),
            network,
            canSetGroups,
            isRoot,
            executor: job.executor,
            limits: job.limits,
            groups,
            inits,
            log,
            redactor: new Redactor(this.#secrets),
            signal,
          });
        },
      );
    });
  }

  async withBlob(layer: LayerRef): Promise<StepRecord> {
    const { store, layers, signal } = this.#parts;
    const written = await writeLayer(store, layerEntries(layers.path(layer.diffId)), { signal });
    if (written.diffId !== layer.diffId) {
      throw new LktError('DIGEST_MISMATCH', `the directory of layer ${layer.diffId} was changed`, {
        fix: `remove it: ${layers.path(layer.diffId)}`,
      });
    }
    return written;
  }

  /** Mounts what is below, lets `change` change it, and keeps what has changed. */
  async #layer(
    parent: Layers,
    step: Step,
    { blob, expected, before }: LayerOptions,
    change: (mount: UpperMount) => Promise<void>,
  ): Promise<StepRecord> {
    const { store, layers, signal, isFleeting } = this.#parts;
    const lower = await this.#mounts.lower(parent);
    const mount = await this.#mounts.upper(parent);
    let unmounted: Promise<void> | undefined;
    try {
      await change(mount);
      signal.throwIfAborted();
      unmounted = this.#mounts.unmount(mount);
      // Awaited in any case.
      unmounted.catch(() => undefined);
      diffUpper(mount.upper, lower);
      await this.#refuseLeak(mount.upper, step);
      const record =
        blob || isFleeting
          ? await writeUpper(mount.upper, before, { store, signal })
          : await hashUpper(mount.upper, expected, { store, signal });
      await unmounted;
      await layers.publish(mount.upper, record.diffId);
      return record;
    } finally {
      await (unmounted ?? this.#mounts.unmount(mount));
      this.#mounts.remove(mount.directory);
    }
  }

  /** What is in a layer is for everyone to read. */
  async #refuseLeak(upper: string, { position, title }: Step): Promise<void> {
    if (this.#secrets.isEmpty) return;
    const leak = await findLeak(layerEntries(upper), this.#secrets, this.#parts.signal);
    if (leak === undefined) return;
    throw sourceError(
      'BUILD_FAILED',
      this.#parts.job.file,
      position,
      `the secret "${leak.id}" would be in the image, in ${leak.where}, which ${title} makes`,
      { fix: 'have the command use it without writing it, or write below a mount' },
    );
  }

  #plan(step: CopyStep, tree: HostTree, isDirectory: boolean): CopyPlan {
    return planCopy(step, tree, { file: this.#parts.job.file, isDirectory: () => isDirectory });
  }
}
