import { join } from 'node:path';
import { type Digest, LktError, sourceError } from '@lkt/core';
import { type RawPath, writeLayer } from '@lkt/oci';
import {
  type CopyPlan,
  type CopyStep,
  planCopy,
  type Step,
  type WorkdirStep,
} from '@lkt/dockerfile';
import { SecretFinder } from '../secrets/secret-finder.ts';
import type { Credentials } from '../secrets/secrets.ts';
import { addRemote, unpackContext } from '../add/add-files.ts';
import { LayerMounts } from '../layers/layer-mounts.ts';
import { copyContext, copyTree } from '../copy/copy-files.ts';
import { CopyTarget } from '../copy/copy-target.ts';
import { HostTree } from '../copy/host-tree.ts';
import type { Layers, LayerRef } from '../layers/layers.ts';
import type { JobContext } from '../worker/worker-context.ts';
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
import type { CopyWork, LayerOptions, RunWork, StepWork } from './step-work.ts';
import { upperLayer } from '../layers/upper-layer.ts';
import { diffUpper } from '../layers/upper.ts';
import { withLocks } from './with-locks.ts';

/**
 * Executes steps with overlay mounts, in a mount namespace of its own; all its mounts end with the
 * process.
 *
 * Each step works the same way: the layers below are mounted with an empty upper directory, the
 * step changes files, and the upper directory becomes the layer.
 */
export class OverlayExecutor {
  readonly #parts: JobContext;
  readonly #mounts: LayerMounts;
  readonly #credentials: Credentials;
  readonly #secrets: SecretFinder;

  constructor(parts: JobContext) {
    this.#parts = parts;
    const { job, setup } = parts;
    // Root without its privileges could skip devices, but must not: commands would see other files.
    const canMakeDevices = setup.isRoot || job.variation?.userNamespace === true;
    this.#mounts = new LayerMounts({ ...parts, canMakeDevices });
    const secrets = job.secrets.map(([id, bytes]) => [id, Buffer.from(bytes, 'base64')] as const);
    this.#credentials = { secrets: new Map(secrets), ssh: new Map(job.ssh) };
    this.#secrets = new SecretFinder(this.#credentials.secrets);
  }

  /** Unmounts everything. */
  async close(): Promise<void> {
    await this.#mounts.close();
  }

  /** Reports whether a path is a directory in a file system; follows links. */
  async isDirectory(layers: Layers, path: RawPath): Promise<boolean> {
    const root = await this.#mounts.lower(layers);
    const real = resolveIn(root, path);
    return real !== undefined && statAt(root, real)?.isDirectory() === true;
  }

  /** Returns the digest of a COPY's selection: names, types, modes, owners, times, contents. */
  async selectionDigest(step: CopyStep, from: Layers, isDirectory: boolean): Promise<Digest> {
    const tree = new HostTree(await this.#mounts.lower(from));
    return selectionDigest(tree, this.#plan(step, tree, isDirectory), this.#parts.signal);
  }

  /** Runs a step on the layers below it. */
  async execute(parent: Layers, work: StepWork, options: LayerOptions): Promise<LayerRef> {
    switch (work.kind) {
      case 'workdir':
        return this.#workdir(parent, work.step, options);
      case 'copy':
        return this.#copy(parent, work, options);
      case 'run':
        return this.#run(parent, work, options);
      default:
        return work satisfies never;
    }
  }

  async #copy(parent: Layers, work: CopyWork, options: LayerOptions): Promise<LayerRef> {
    const { job, context, store, signal, setup } = this.#parts;
    const { isRoot } = setup;
    const { step, isDirectory, parts } = work;
    const from = this.#source(work);
    const tree = from === undefined ? undefined : new HostTree(await this.#mounts.lower(from));
    return this.#layer(parent, step, options, async ({ root }) => {
      if (tree !== undefined) {
        const target = new CopyTarget(root, step, job.file, signal);
        await copyTree(target, tree, this.#plan(step, tree, isDirectory));
        return;
      }
      for (const part of parts) {
        // A part may change where a path of the next part leads.
        const target = new CopyTarget(root, step, job.file, signal);
        if ('archive' in part) await unpackContext(target, context, part.archive, isRoot);
        else if ('remote' in part) await addRemote(target, store, part.remote, isRoot);
        else await copyContext(target, context, part);
      }
    });
  }

  #source({ from }: CopyWork): Layers | undefined {
    if (from === undefined || !('git' in from)) return from;
    const layer = this.#parts.job.gitFiles[from.git];
    if (layer === undefined) throw new Error(`${from.git} was not fetched`);
    return [layer];
  }

  async #workdir(parent: Layers, step: WorkdirStep, options: LayerOptions): Promise<LayerRef> {
    return this.#layer(parent, step, options, async ({ root }) =>
      makeWorkdir(root, step, this.#parts.job.file),
    );
  }

  async #run(parent: Layers, work: RunWork, options: LayerOptions): Promise<LayerRef> {
    const { job, store, signal } = this.#parts;
    const { step, network } = work;
    const credentials = this.#credentials;
    return this.#layer(parent, step, options, async ({ root, directory }) => {
      const hasPrivate = step.mounts.some(({ type }) => type === 'secret' || type === 'ssh');
      await using privates = hasPrivate
        ? new PrivateFiles(join(this.#parts.temp, this.#mounts.name()))
        : undefined;
      const sources = { ...this.#parts, credentials, privates, mounts: this.#mounts };
      const prepared = await Promise.all(
        step.mounts.map(async (mount, index) => prepareMount(mount, work.mounts[index], sources)),
      );
      const mounts = prepared.filter((mount) => mount !== undefined);
      const variables = mountVariables(step, credentials, job.file);
      await withLocks(
        mounts.map(({ lock }) => lock),
        async (name, run) => store.withLock(name, run, { signal, timeoutMs: 24 * 3600 * 1000 }),
        async () => {
          await runCommand({
            ...this.#parts,
            step: { ...step, env: [...step.env, ...variables] },
            root,
            // The description of the sandbox may contain a secret.
            directory: privates?.directory ?? directory,
            mounts: mounts.map(({ mount }) => mount),
            network,
            log: options.log,
            redactor: new Redactor(this.#secrets),
          });
        },
      );
    });
  }

  /** Returns a layer with its blob, written from its directory. */
  async withBlob(layer: LayerRef): Promise<LayerRef> {
    const { store, layers, signal } = this.#parts;
    const written = await writeLayer(store, layerEntries(layers.path(layer.diffId)), { signal });
    if (written.diffId !== layer.diffId) {
      throw new LktError('DIGEST_MISMATCH', `the directory of layer ${layer.diffId} was changed`, {
        fix: `remove it: ${layers.path(layer.diffId)}`,
      });
    }
    return written;
  }

  /** Mounts the layers below, calls `change`, and stores the changes as a layer. */
  async #layer(
    parent: Layers,
    step: Step,
    { blob, expected, before }: LayerOptions,
    change: (mount: UpperMount) => Promise<void>,
  ): Promise<LayerRef> {
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
      const needs = { blob: blob || isFleeting, expected, before };
      const record = await upperLayer(mount.upper, needs, { store, signal });
      await unmounted;
      await layers.publish(mount.upper, record.diffId);
      return record;
    } finally {
      await (unmounted ?? this.#mounts.unmount(mount));
      this.#mounts.remove(mount.directory);
    }
  }

  /** Rejects a layer that contains a secret, as everyone can read it. */
  async #refuseLeak(upper: string, { position, title }: Step): Promise<void> {
    if (this.#secrets.isEmpty) return;
    const leak = await findLeak(layerEntries(upper), this.#secrets, this.#parts.signal);
    if (leak === undefined) return;
    throw sourceError(
      'BUILD_FAILED',
      this.#parts.job.file,
      position,
      `the secret "${leak.id}" would be in the image, in ${leak.where}, which ${title} makes`,
      { fix: 'do not write the secret to a file, or write it below a mount' },
    );
  }

  #plan(step: CopyStep, tree: HostTree, isDirectory: boolean): CopyPlan {
    return planCopy(step, tree, { file: this.#parts.job.file, isDirectory: () => isDirectory });
  }
}
