import { availableParallelism } from 'node:os';
import { type Digest, digestOf, type Reporter } from '@lkt/core';
import { type RawPath, type Store, toRaw } from '@lkt/oci';
import type { Context } from '../context.ts';
import type { AddPart } from '../dockerfile/copy.ts';
import { mountPlan } from '../dockerfile/mount-plan.ts';
import {
  type CopyStep,
  imageKey,
  type Origin,
  type ResolvedMount,
  type RunStep,
  type StagePlan,
  type Step,
  type WorkdirStep,
} from '../dockerfile/steps.ts';
import { gitKey } from '../git/fetch-git.ts';
import { type GitSource, gitSource } from '../git/git-source.ts';
import { triggerError } from '../dockerfile/triggers.ts';
import type { KnownAnswer, RemoteStepCache } from '../remote-cache/remote-step-cache.ts';
import type { StepCache, StepRecord } from '../step-cache.ts';
import { stepId, type StepResult } from '../world.ts';
import { Archives } from './archives.ts';
import { type Chain, diffIds, type Job, type LayerRef } from './job.ts';
import type { LayerDirs } from './layer-dirs.ts';
import { Limiter } from './limiter.ts';
import { ownerKey } from './owners.ts';

/** Does what the cache cannot answer. */
export interface StepExecutor {
  /** Whether a path is a directory in a file system, links followed. */
  isDirectory(chain: Chain, path: RawPath): Promise<boolean>;
  /** Digest of what a COPY takes from a file system: names, types, modes, owners, times, contents. */
  selectionDigest(step: CopyStep, from: Chain, isDirectory: boolean): Promise<Digest>;
  copy(parent: Chain, copy: CopyWork, options: LayerOptions): Promise<StepRecord>;
  run(parent: Chain, run: RunWork, options: LayerOptions): Promise<StepRecord>;
  workdir(parent: Chain, step: WorkdirStep, options: LayerOptions): Promise<StepRecord>;
  /** The layer with its blob, made from its directory. */
  withBlob(layer: LayerRef): Promise<StepRecord>;
}

export interface LayerOptions {
  /** Whether the layer is one of the image, and so needs a blob. */
  readonly blob: boolean;
  /** A layer that is not this one gets a blob in any case. */
  readonly expected?: Digest;
  /** What the step gave before: a layer that is the same has its blob. */
  readonly before?: StepRecord | undefined;
}

export interface CopyWork {
  readonly step: CopyStep;
  /** The file system that is copied from; undefined for the context. */
  readonly from: Chain | undefined;
  readonly isDirectory: boolean;
  /** Of the context, what is copied and unpacked, in this order. */
  readonly parts: readonly AddPart[];
}

export interface RunWork {
  readonly step: RunStep;
  readonly network: 'none' | 'host';
  /** For each of the step's mounts, the file system it is from; undefined for the context. */
  readonly mounts: readonly (Chain | undefined)[];
  readonly log: (text: string) => void;
}

export interface RunnerParts {
  readonly store: Store;
  readonly cache: StepCache;
  readonly layers: LayerDirs;
  readonly context: Context;
  readonly reporter: Reporter;
  readonly executor?: StepExecutor;
  /** What others have done, without an executor. */
  readonly remote?: RemoteStepCache;
}

/** Thrown where there is no executor: a step has to be done. */
export class CacheMiss extends Error {}

/**
 * Goes through a plan: stages beside each other, the steps of a stage one after the other, each from the cache or by
 * the executor. Without one it only finds out whether the cache has everything.
 */
export class PlanRunner {
  readonly #job: Job;
  readonly #parts: RunnerParts;
  readonly #stages = new Map<number, Promise<Chain>>();
  readonly #results: StepResult[] = [];
  readonly #answers = new Map<string, string>();
  readonly #claims = new Map<string, StepRecord>();
  readonly #running: Limiter;
  readonly #archives: Archives;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;

  constructor(job: Job, parts: RunnerParts, signal?: AbortSignal) {
    this.#job = job;
    this.#parts = parts;
    this.#running = new Limiter(Math.max(1, job.cpus || availableParallelism()));
    this.#signal =
      signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
    this.#archives = new Archives(parts.context, parts.cache, this.#signal);
  }

  /** The layers of the target. Nothing goes on any more when this returns or throws. */
  async run(): Promise<Chain> {
    const { plan } = this.#job;
    const all = plan.stages.map((stage) => this.#stage(stage.index));
    let first: { readonly error: unknown } | undefined;
    await Promise.all(
      all.map(async (stage) =>
        stage.catch((error: unknown) => {
          first ??= { error };
          // Of what is known each stage is followed as far as it goes.
          if (this.#parts.remote === undefined || !(error instanceof CacheMiss))
            this.#abort.abort(error);
        }),
      ),
    );
    if (first !== undefined) throw first.error;
    return this.#stage(plan.target);
  }

  /** What others say that steps gave, and is not in the store, by the keys of the steps. */
  get claims(): ReadonlyMap<string, StepRecord> {
    return this.#claims;
  }

  /** The questions that were asked on the way. */
  get answers(): readonly KnownAnswer[] {
    return [...this.#answers].map(([key, answer]) => ({ key, answer }));
  }

  /** What the steps gave that are done. */
  get results(): readonly StepResult[] {
    return this.#results;
  }

  /** Aborted when the caller aborts or a stage has failed. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  #stage(index: number): Promise<Chain> {
    let stage = this.#stages.get(index);
    if (stage === undefined) {
      stage = this.#build(index);
      this.#stages.set(index, stage);
    }
    return stage;
  }

  async #build(index: number): Promise<Chain> {
    const stage = this.#job.plan.stages.find((item) => item.index === index);
    if (stage === undefined) throw new Error(`stage ${index} is not in the plan`);
    const blob = this.#job.keepLayers || isPartOfTarget(this.#job, index);
    let chain = (await this.#chain(stage.base)) ?? [];
    for (const [before, step] of stage.steps.entries()) {
      this.#signal.throwIfAborted();
      const layer = await this.#step({ stage, step, number: before + 1 }, chain, blob);
      if (layer !== undefined) chain = [...chain, layer];
    }
    return chain;
  }

  async #step(at: StepPlace, parent: Chain, blob: boolean): Promise<LayerRef | undefined> {
    if (at.step.isTrigger !== true) return this.#do(at, parent, blob);
    return this.#do(at, parent, blob).catch((error: unknown) => {
      throw triggerError(error, at.step.title);
    });
  }

  async #do(at: StepPlace, chain: Chain, blob: boolean): Promise<LayerRef | undefined> {
    const { stage, step, number } = at;
    const parent = isLinked(step) ? [] : chain;
    // BuildKit makes no layer for it either.
    if (step.kind === 'workdir' && step.path === '/') return undefined;
    const label = stage.name ?? String(stage.index);
    const id = `${this.#job.name}:${label}/${number}`;
    // What the step needs of other stages is waited for first.
    const prepared = await this.#prepare(id, step, parent, stage);
    const title = `[${label} ${number}/${stage.steps.length}] ${step.title}`;
    this.#emit({ kind: 'start', id, title });
    try {
      const place = { stage: stage.index, number };
      const expected = this.#job.world?.expected[stepId(place)];
      const options = { blob, ...(expected === undefined ? {} : { expected }) };
      const { key, layer, cached } = await this.#layer(prepared, parent, options);
      this.#results.push({ ...place, key, layer });
      this.#emit({ kind: 'done', id, cached });
      return layer;
    } catch (error) {
      this.#emit({ kind: 'failed', id, ...(this.#signal.aborted && { stopped: true }) });
      throw error;
    }
  }

  async #layer(
    prepared: Prepared,
    parent: Chain,
    options: LayerOptions,
  ): Promise<{ key: string; layer: LayerRef; cached: boolean }> {
    const { blob } = options;
    const key = this.#parts.cache.key({ ...prepared.question, parent: diffIds(parent) });
    const known = await this.#known(key, blob);
    if (known !== undefined) return { key, layer: known, cached: true };
    const executor = this.#executor();
    return this.#parts.store.withLock(
      `step-${key}`,
      async () => {
        // Another process may have done it while this one waited.
        const other = await this.#known(key, blob);
        if (other !== undefined) return { key, layer: other, cached: true };
        const before = blob ? await this.#parts.cache.record(key) : undefined;
        const record = await prepared.execute(executor, { ...options, before });
        await this.#parts.cache.store(key, record);
        return { key, layer: record, cached: false };
      },
      { signal: this.#signal, timeoutMs: 24 * 3600 * 1000 },
    );
  }

  /** The cached result, when all that it speaks of is still there. */
  async #known(key: string, blob: boolean): Promise<LayerRef | undefined> {
    if (this.#job.noCache) return undefined;
    const { remote } = this.#parts;
    if (remote === undefined) return this.#local(key, blob);
    const local = await this.#local(key, blob).catch((error: unknown) => {
      if (!(error instanceof CacheMiss)) throw error;
      return undefined;
    });
    if (local !== undefined) return local;
    const claim = await remote.find(key, this.#signal);
    if (typeof claim !== 'object') return undefined;
    this.#claims.set(key, claim);
    return claim;
  }

  async #local(key: string, blob: boolean): Promise<LayerRef | undefined> {
    const { cache, store, layers, executor } = this.#parts;
    const record = await cache.record(key);
    if (record === undefined) return undefined;
    const { descriptor, diffId } = record;
    const hasBlob = descriptor !== null && (await store.keep(descriptor.digest, descriptor.size));
    if (hasBlob) return record;
    if (!(await layers.has(diffId))) return undefined;
    if (!blob) return { diffId, descriptor: null };
    if (executor === undefined) throw new CacheMiss();
    const whole = await executor.withBlob(record);
    await cache.store(key, whole);
    return whole;
  }

  async #prepare(id: string, step: Step, parent: Chain, stage: StagePlan): Promise<Prepared> {
    switch (step.kind) {
      case 'workdir':
        return {
          question: { kind: 'workdir', path: step.path, user: ownerKey(step.user) },
          execute: async (executor, options) => executor.workdir(parent, step, options),
        };
      case 'run':
        return this.#prepareRun(id, step, parent, stage);
      case 'copy':
      case 'add':
        return this.#prepareCopy(step, parent);
      default:
        return step satisfies never;
    }
  }

  async #prepareRun(id: string, step: RunStep, parent: Chain, stage: StagePlan): Promise<Prepared> {
    const network = this.#job.network && step.network !== 'none' ? 'host' : 'none';
    const mounts = await Promise.all(step.mounts.map(async ({ from }) => this.#chain(from)));
    const inputs = await Promise.all(
      step.mounts.map(async (mount, index) => ({
        type: mount.type,
        target: mount.target,
        readOnly: mount.readOnly,
        // Not what the secret is: another one must not run the step again.
        ...(mount.type === 'secret' || mount.type === 'ssh'
          ? { id: mount.id, env: mount.env, mode: mount.mode, uid: mount.uid, gid: mount.gid }
          : {}),
        // What is in a cache is nobody's input: it must not change the result. What it begins with may.
        ...(mount.type === 'cache' && mount.from.kind !== 'scratch'
          ? { source: mount.source, from: diffIds(mounts[index] ?? []) }
          : {}),
        ...(mount.type === 'tmpfs' ? { size: mount.size, mode: mount.mode } : {}),
        ...(mount.type === 'bind'
          ? {
              source: mount.source,
              from: diffIds(mounts[index] ?? []),
              content: mount.from.kind === 'context' ? await this.#contextDigest(mount) : undefined,
            }
          : {}),
      })),
    );
    const { argv, env, workdir, user, files } = step;
    return {
      question: {
        kind: 'run',
        argv,
        env,
        workdir,
        user,
        files,
        network,
        mounts: inputs,
        platform: stage.platform,
      },
      execute: async (executor, options) =>
        this.#running.run(async () => {
          this.#signal.throwIfAborted();
          const log = (text: string): void => this.#emit({ kind: 'log', id, text });
          return executor.run(parent, { step, network, mounts, log }, options);
        }),
    };
  }

  async #prepareCopy(step: CopyStep, parent: Chain): Promise<Prepared> {
    const git = gitSource(step);
    if (git !== undefined) return this.#prepareGit(step, git, parent);
    const from = await this.#chain(step.from);
    const isDirectory = await this.#isDirectory(step, parent);
    const { chmod } = step;
    const chown = step.chown === undefined ? undefined : ownerKey(step.chown);
    const { file } = this.#job;
    const parts =
      from === undefined
        ? await this.#archives.parts(step, { file, isDirectory: () => isDirectory })
        : [];
    const input =
      from === undefined
        ? await this.#partsDigest(parts)
        : await this.#selectionDigest(step, from, isDirectory);
    return {
      question: { kind: 'copy', context: from === undefined, input, chown, chmod },
      execute: async (executor, options) =>
        executor.copy(parent, { step, from, isDirectory, parts }, options),
    };
  }

  /** The files of a commit are copied like those of a stage. What they are is known by its name, before it is fetched. */
  async #prepareGit(step: CopyStep, git: GitSource, parent: Chain): Promise<Prepared> {
    const isDirectory = await this.#isDirectory(step, parent);
    const { destination, destinationIsDirectory, parents, exclude, chmod } = step;
    const chown = step.chown === undefined ? undefined : ownerKey(step.chown);
    const files = gitKey(git);
    const all = { ...git.source, kind: 'path', text: '', base: '' } as const;
    return {
      question: {
        kind: 'git',
        files,
        destination,
        destinationIsDirectory,
        parents,
        exclude,
        isDirectory,
        chown,
        chmod,
      },
      execute: async (executor, options) => {
        const layer = this.#job.gitFiles?.[files];
        if (layer === undefined) throw new Error(`${files} was not fetched`);
        const work = { step: { ...step, sources: [all] }, from: [layer], isDirectory, parts: [] };
        return executor.copy(parent, work, options);
      },
    };
  }

  async #partsDigest(parts: readonly AddPart[]): Promise<string> {
    const { context } = this.#parts;
    const digests: string[] = [];
    for (const part of parts) {
      if ('remote' in part) {
        const { digest, target, unpacked } = part.remote;
        digests.push(`remote ${digest} ${target} ${unpacked ?? '-'}`);
        continue;
      }
      if (!('archive' in part)) {
        digests.push(await context.digest(part, this.#signal));
        continue;
      }
      const { source, target } = part.archive;
      digests.push(`${await context.contentDigest(source, this.#signal)} ${target}`);
    }
    const [first = '', second] = digests;
    const isPlain = second === undefined && !first.includes(' ');
    return isPlain ? first : digestOf(JSON.stringify(digests));
  }

  async #selectionDigest(step: CopyStep, from: Chain, isDirectory: boolean): Promise<string> {
    const { sources, files, destination, destinationIsDirectory, parents, exclude } = step;
    const question = {
      kind: 'selection',
      from: diffIds(from),
      sources: sources.map(({ text, base }) => ({ text, base })),
      files,
      destination,
      destinationIsDirectory,
      parents,
      exclude,
      isDirectory,
    };
    return this.#remembered(question, async (executor) =>
      executor.selectionDigest(step, from, isDirectory),
    );
  }

  /** Whether the destination of a COPY is a directory, where that matters. */
  async #isDirectory(step: CopyStep, parent: Chain): Promise<boolean> {
    const path = toRaw(step.destination.slice(1));
    if (step.destinationIsDirectory || path === '') return true;
    const question = { kind: 'is-directory', of: diffIds(parent), path };
    const answer = await this.#remembered(question, async (executor) =>
      String(await executor.isDirectory(parent, path)),
    );
    return answer === 'true';
  }

  async #remembered(
    question: Readonly<Record<string, unknown>>,
    ask: (executor: StepExecutor) => Promise<string>,
  ): Promise<string> {
    const { cache, remote } = this.#parts;
    const key = cache.key(question);
    const known = await cache.recall(key);
    const claim = known ?? (await remote?.find(key, this.#signal));
    const answer = typeof claim === 'string' ? claim : await ask(this.#executor());
    this.#answers.set(key, answer);
    if (known === undefined) await cache.remember(key, answer);
    return answer;
  }

  async #contextDigest(mount: ResolvedMount): Promise<Digest> {
    const { context } = this.#parts;
    return context.digest(mountPlan(context, mount, this.#job.file), this.#signal);
  }

  /** The file system of an origin; undefined for the context. */
  async #chain(origin: Origin): Promise<Chain | undefined> {
    switch (origin.kind) {
      case 'context':
        return undefined;
      case 'scratch':
        return [];
      case 'stage':
        return this.#stage(origin.index);
      case 'image': {
        const chain = this.#job.images[imageKey(origin)];
        if (chain === undefined) throw new Error(`${origin.text} is not among the images`);
        return chain;
      }
      default:
        return origin satisfies never;
    }
  }

  #executor(): StepExecutor {
    if (this.#parts.executor === undefined) throw new CacheMiss();
    return this.#parts.executor;
  }

  #emit(event: Parameters<Reporter['emit']>[0]): void {
    this.#parts.reporter.emit(event);
  }
}

/**
 * Whether what is copied is a layer by itself, whatever the layers below it hold (Dockerfile reference, "COPY --link").
 * As in BuildKit, `--chmod` excludes it.
 */
function isLinked(step: Step): boolean {
  return (step.kind === 'copy' || step.kind === 'add') && step.link && step.chmod === undefined;
}

interface StepPlace {
  readonly stage: StagePlan;
  readonly step: Step;
  /** In the stage, from 1. */
  readonly number: number;
}

interface Prepared {
  readonly question: Readonly<Record<string, unknown>>;
  readonly execute: (executor: StepExecutor, options: LayerOptions) => Promise<StepRecord>;
}

/** Whether the layers of a stage are in the image: the target's, and those of the stages it is FROM. */
function isPartOfTarget({ plan }: Job, index: number): boolean {
  for (let at: number | undefined = plan.target; at !== undefined;) {
    if (at === index) return true;
    const base = plan.stages.find((stage) => stage.index === at)?.base;
    at = base?.kind === 'stage' ? base.index : undefined;
  }
  return false;
}
