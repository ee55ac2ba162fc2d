import { lchownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, Digester, digestOf, LktError, sourceError } from '@lkt/core';
import {
  decompressLayer,
  type Descriptor,
  layerError,
  fromRaw,
  type RawPath,
  readTar,
  removeTree,
  type Store,
  toRaw,
  writeLayer,
} from '@lkt/oci';
import type { Context } from '../context.ts';
import { type CopyPlan, planCopy } from '../dockerfile/copy.ts';
import type { CopyStep, Step, WorkdirStep } from '../dockerfile/steps.ts';
import { SecretFinder } from '../secret-finder.ts';
import type { Credentials } from '../secrets.ts';
import type { StepRecord } from '../step-cache.ts';
import type { Cgroups } from './cgroup.ts';
import { FileCopier } from './copy-files.ts';
import { extractLayer } from './extract.ts';
import { withOwner } from './host-error.ts';
import { HostTree } from './host-tree.ts';
import type { Inits } from './inits.ts';
import type { Chain, Job, LayerRef } from './job.ts';
import type { LayerDirs } from './layer-dirs.ts';
import { layerEntries } from './layer-entries.ts';
import { hashLayer } from './layer-hash.ts';
import { type LayerDir, Overlays, type UpperMount } from './overlay.ts';
import { findOwner, readAccounts, readShort } from './owners.ts';
import { PrivateFiles } from './private-files.ts';
import { pathAt, statAt } from './raw-fs.ts';
import { Redactor } from './redactor.ts';
import { makeDirectories, resolveIn } from './rooted.ts';
import { runCommand } from './run.ts';
import { mountVariables, prepareMount } from './run-mounts.ts';
import { findLeak } from './secret-scan.ts';
import { selectionDigest } from './selection.ts';
import type { CopyWork, LayerOptions, RunWork, StepExecutor } from './step-executor.ts';
import { settleUpper } from './upper.ts';

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
  readonly #overlays: Overlays;
  readonly #unpacked = new Map<Digest, Promise<void>>();
  readonly #lower = new Map<string, Promise<string>>();
  readonly #secrets: SecretFinder;
  readonly #removing = new Set<Promise<void>>();
  #count = 0;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.#overlays = new Overlays(parts.temp);
    this.#secrets = new SecretFinder(parts.credentials.secrets);
  }

  /** Ends the mounts. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#removing);
    this.#overlays.unmountAll();
  }

  async isDirectory(chain: Chain, path: RawPath): Promise<boolean> {
    const root = await this.#mountLower(chain);
    const real = resolveIn(root, path);
    return real !== undefined && statAt(root, real)?.isDirectory() === true;
  }

  async selectionDigest(step: CopyStep, from: Chain, isDirectory: boolean): Promise<Digest> {
    const tree = new HostTree(await this.#mountLower(from));
    return selectionDigest(tree, this.#plan(step, tree, isDirectory), this.#parts.signal);
  }

  async copy(parent: Chain, work: CopyWork, options: LayerOptions): Promise<StepRecord> {
    const { job, context, store, signal, isRoot } = this.#parts;
    const { step, from, isDirectory, parts } = work;
    const tree = from === undefined ? undefined : new HostTree(await this.#mountLower(from));
    return this.#layer(parent, step, options, async ({ root }) => {
      if (tree !== undefined) {
        const copier = new FileCopier(root, step, job.file, signal);
        await copier.copyTree(tree, this.#plan(step, tree, isDirectory));
        return;
      }
      for (const part of parts) {
        // What one part makes may change where a path of the next one leads.
        const copier = new FileCopier(root, step, job.file, signal);
        if ('archive' in part) await copier.unpack(context, part.archive, isRoot);
        else if ('remote' in part) await copier.addRemote(store, part.remote, isRoot);
        else await copier.copyContext(context, part);
      }
    });
  }

  async workdir(parent: Chain, step: WorkdirStep, options: LayerOptions): Promise<StepRecord> {
    return this.#layer(parent, step, options, async ({ root }) => {
      const path = resolveIn(root, toRaw(step.path.slice(1)));
      if (path === undefined || statAt(root, path)?.isDirectory() === false) {
        const { file } = this.#parts.job;
        throw sourceError(
          'BUILD_FAILED',
          file,
          step.position,
          `${step.path} is not a directory in the image`,
        );
      }
      // Who USER is matters only where something has to be made.
      if (statAt(root, path) !== undefined) return;
      const accounts = readAccounts((name) => readIn(root, name));
      const owner = findOwner(step.user, accounts);
      if (owner === undefined)
        throw sourceError(
          'BUILD_FAILED',
          this.#parts.job.file,
          step.position,
          `the image has no user or group "${step.user}"`,
        );
      makeDirectories(root, path, (made) =>
        withOwner(
          () => `/${fromRaw(made)}`,
          owner.uid,
          () => lchownSync(pathAt(root, made), owner.uid, owner.gid),
        ),
      );
    });
  }

  async run(parent: Chain, work: RunWork, options: LayerOptions): Promise<StepRecord> {
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
        ? new PrivateFiles(join(this.#parts.temp, this.#name()))
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
            mountLower: async (chain) => this.#mountLower(chain),
            mountOwn: async (chain) => this.#mountOwn(chain),
          }),
        ),
      );
      const mounts = prepared.filter((mount) => mount !== undefined);
      const variables = mountVariables(step, credentials, job.file);
      await withAll(
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
    parent: Chain,
    step: Step,
    { blob, expected, before }: LayerOptions,
    change: (mount: UpperMount) => Promise<void>,
  ): Promise<StepRecord> {
    const { layers, signal, isFleeting } = this.#parts;
    const lower = await this.#mountLower(parent);
    const mount = this.#overlays.mountUpper(this.#name(), await this.#dirs(parent), lower);
    try {
      try {
        await change(mount);
      } finally {
        this.#overlays.unmount(mount.root);
      }
      signal.throwIfAborted();
      settleUpper(mount.upper, lower);
      await this.#refuseLeak(mount.upper, step);
      const record =
        blob || isFleeting
          ? await this.#written(mount.upper, before)
          : await this.#hashed(mount.upper, expected);
      await layers.publish(mount.upper, record.diffId);
      return record;
    } finally {
      this.#remove(mount.directory);
    }
  }

  /** Nobody waits for it but the end. */
  #remove(directory: string): void {
    const removing = removeTree(directory).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
    // What is left goes with the directory that it is in.
    removing.catch(() => undefined);
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

  /** A layer with its blob. To compress takes longer than to see that it is one that the store has whole. */
  async #written(upper: string, before: StepRecord | undefined): Promise<StepRecord> {
    const { store, signal } = this.#parts;
    const blob = before?.descriptor ?? undefined;
    if (
      before !== undefined &&
      blob !== undefined &&
      before.diffId === (await hashLayer(layerEntries(upper), signal)) &&
      (await hasWhole(store, blob))
    )
      return before;
    return writeLayer(store, layerEntries(upper), { signal });
  }

  /** A layer that needs no blob, unless it is not what was expected. */
  async #hashed(upper: string, expected: Digest | undefined): Promise<StepRecord> {
    const { store, signal } = this.#parts;
    const diffId = await hashLayer(layerEntries(upper), signal);
    if (expected === undefined || expected === diffId) return { diffId, descriptor: null };
    return writeLayer(store, layerEntries(upper), { signal });
  }

  /** The merged file system of a chain, read-only; mounted once. */
  async #mountLower(chain: Chain): Promise<string> {
    const key = chain.map(({ diffId }) => diffId).join();
    let mounted = this.#lower.get(key);
    if (mounted === undefined) {
      mounted = (async () => {
        const dirs = await this.#dirs(chain);
        return dirs.length === 0
          ? this.#overlays.empty
          : this.#overlays.mountLower(this.#name(), dirs);
      })();
      this.#lower.set(key, mounted);
    }
    return mounted;
  }

  async #dirs(chain: Chain): Promise<LayerDir[]> {
    await Promise.all(chain.map(async (layer) => this.#unpack(layer)));
    const filled = chain.filter(({ diffId }) => diffId !== EMPTY_LAYER);
    return filled.map(({ diffId }) => ({ diffId, path: this.#parts.layers.path(diffId) }));
  }

  async #unpack(layer: LayerRef): Promise<void> {
    let unpacked = this.#unpacked.get(layer.diffId);
    if (unpacked === undefined) {
      unpacked = this.#unpackNow(layer);
      this.#unpacked.set(layer.diffId, unpacked);
    }
    return unpacked;
  }

  async #unpackNow({ diffId, descriptor }: LayerRef): Promise<void> {
    const { job, store, layers, signal, isRoot } = this.#parts;
    // Root without its rights could, and must not go on without them: commands would see other files.
    const canMakeDevices = isRoot || job.world?.userNamespace === true;
    if (await layers.has(diffId)) return;
    if (descriptor === null) {
      throw new LktError(
        'NOT_FOUND',
        `layer ${diffId} was removed from the store while it was used`,
        {
          fix: 'build again',
        },
      );
    }
    const directory = join(this.#parts.temp, this.#name());
    mkdirSync(directory, { mode: 0o755 });
    const digester = new Digester();
    const archive = hashed(decompressLayer(descriptor, store.read(descriptor)), digester);
    try {
      await extractLayer(readTar(archive), directory, { canMakeDevices, signal });
    } catch (error) {
      throw await layerError(store, descriptor, error);
    }
    const actual = digester.digest();
    if (actual !== diffId) {
      throw new LktError(
        'IMAGE_INVALID',
        `layer ${descriptor.digest} unpacks to ${actual}, and the config of its image says ${diffId}`,
      );
    }
    await layers.publish(directory, diffId);
    this.#remove(directory);
  }

  #plan(step: CopyStep, tree: HostTree, isDirectory: boolean): CopyPlan {
    return planCopy(step, tree, { file: this.#parts.job.file, isDirectory: () => isDirectory });
  }

  /** A chain's file system to be changed at will: what is written is for one command alone. */
  async #mountOwn(chain: Chain): Promise<string> {
    const lower = await this.#mountLower(chain);
    return this.#overlays.mountUpper(this.#name(), await this.#dirs(chain), lower).root;
  }

  #name(): string {
    this.#count += 1;
    return String(this.#count);
  }
}

/** An archive with nothing in it: steps that change nothing have it. */
const EMPTY_LAYER = digestOf(new Uint8Array(1024));

async function hasWhole(store: Store, blob: Descriptor): Promise<boolean> {
  if (!(await store.keep(blob.digest, blob.size))) return false;
  try {
    for await (const _ of store.read(blob));
    return true;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return false;
  }
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  digester: Digester,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk);
    yield chunk;
  }
}

function readIn(root: string, path: RawPath): string {
  const file = resolveIn(root, path);
  return file === undefined ? '' : readShort(pathAt(root, file));
}

/** Runs while holding every lock, taken in one order. */
async function withAll(
  names: readonly (string | undefined)[],
  hold: (name: string, run: () => Promise<void>) => Promise<void>,
  run: () => Promise<void>,
): Promise<void> {
  const locks = [...new Set(names.filter((name) => name !== undefined))].toSorted();
  const [first, ...rest] = locks;
  if (first === undefined) return run();
  return hold(first, async () => withAll(rest, hold, run));
}
