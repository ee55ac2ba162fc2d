import { availableParallelism } from 'node:os';
import { type Digest, digestOf, Semaphore } from '@lkt/core';
import type { Context } from '../context/context.ts';
import {
  type AddPart,
  type CopyStep,
  type GitSource,
  gitSource,
  type Origin,
  type ResolvedMount,
  type RunStep,
  type Step,
} from '@lkt/dockerfile';
import { mountPlan } from '../context/mount-plan.ts';
import { gitKey } from '../add/git-layers.ts';
import type { CacheKeyFields, StepCache, StepRecord } from '../step-cache.ts';
import { Archives } from '../add/archives.ts';
import type { RootfsProbe } from './rootfs-probe.ts';
import { type Layers, diffIds } from '../layers/layers.ts';
import type { Job } from '../worker/job.ts';
import { ownerKey } from '../copy/owners.ts';
import type { LayerOptions, StepExecutor } from './step-executor.ts';

/** A step as a question for the cache, and what to do when it has no answer. */
export interface PreparedStep {
  /** Everything the step depends on but the layers below it. */
  readonly keyFields: CacheKeyFields;
  readonly execute: (executor: StepExecutor, options: LayerOptions) => Promise<StepRecord>;
}

/** Where a step is. */
export interface StepInputs {
  /** The layers below it. */
  readonly parent: Layers;
  readonly platform: string;
  /** Takes what a command says. */
  readonly log: (text: string) => void;
}

export interface StepPreparerParts {
  readonly context: Context;
  readonly cache: StepCache;
  readonly probe: RootfsProbe;
  /** The file system of an origin, once it is there; undefined for the context. */
  readonly fileSystem: (origin: Origin) => Promise<Layers | undefined>;
}

/** Turns steps into what the cache and the executor take. */
export class StepPreparer {
  readonly #job: Job;
  readonly #parts: StepPreparerParts;
  readonly #archives: Archives;
  readonly #running: Semaphore;
  readonly #signal: AbortSignal;

  constructor(job: Job, parts: StepPreparerParts, signal: AbortSignal) {
    this.#job = job;
    this.#parts = parts;
    this.#archives = new Archives(parts.context, parts.cache, signal);
    this.#running = new Semaphore(Math.max(1, job.cpus || availableParallelism()));
    this.#signal = signal;
  }

  /** Waits for the file systems that the step needs, and finds out what it takes of them. */
  async prepare(step: Step, inputs: StepInputs): Promise<PreparedStep> {
    const { parent } = inputs;
    switch (step.kind) {
      case 'workdir':
        return {
          keyFields: { kind: 'workdir', path: step.path, user: ownerKey(step.user) },
          execute: async (executor, options) => executor.workdir(parent, step, options),
        };
      case 'run':
        return this.#prepareRun(step, inputs);
      case 'copy':
      case 'add':
        return this.#prepareCopy(step, parent);
      default:
        return step satisfies never;
    }
  }

  async #prepareRun(step: RunStep, { parent, platform, log }: StepInputs): Promise<PreparedStep> {
    const network = this.#job.network && step.network !== 'none' ? 'host' : 'none';
    const mounts = await Promise.all(
      step.mounts.map(async ({ from }) => this.#parts.fileSystem(from)),
    );
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
      keyFields: {
        kind: 'run',
        argv,
        env,
        workdir,
        user,
        files,
        network,
        mounts: inputs,
        platform,
      },
      execute: async (executor, options) =>
        this.#running.run(async () => {
          this.#signal.throwIfAborted();
          return executor.run(parent, { step, network, mounts, log }, options);
        }),
    };
  }

  async #prepareCopy(step: CopyStep, parent: Layers): Promise<PreparedStep> {
    const git = gitSource(step);
    if (git !== undefined) return this.#prepareGit(step, git, parent);
    const from = await this.#parts.fileSystem(step.from);
    const isDirectory = await this.#parts.probe.isDirectory(step, parent);
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
        : await this.#parts.probe.selectionDigest(step, from, isDirectory);
    return {
      keyFields: { kind: 'copy', context: from === undefined, input, chown, chmod },
      execute: async (executor, options) =>
        executor.copy(parent, { step, from, isDirectory, parts }, options),
    };
  }

  /** The files of a commit are copied like those of a stage. What they are is known by its name, before it is fetched. */
  async #prepareGit(step: CopyStep, git: GitSource, parent: Layers): Promise<PreparedStep> {
    const isDirectory = await this.#parts.probe.isDirectory(step, parent);
    const { destination, destinationIsDirectory, parents, exclude, chmod } = step;
    const chown = step.chown === undefined ? undefined : ownerKey(step.chown);
    const files = gitKey(git);
    const all = { ...git.source, kind: 'path', text: '', base: '' } as const;
    return {
      keyFields: {
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

  async #contextDigest(mount: ResolvedMount): Promise<Digest> {
    const { context } = this.#parts;
    return context.digest(mountPlan(context, mount, this.#job.file), this.#signal);
  }
}
