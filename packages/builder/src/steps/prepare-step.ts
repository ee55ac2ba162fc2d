import { type Digest, digestOf } from '@lkt/core';
import type { Context } from '../context/context.ts';
import {
  type AddPart,
  type CopyStep,
  type GitSource,
  gitSource,
  type ResolvedMount,
  type RunStep,
  type StagePlan,
  type Step,
} from '@lkt/dockerfile';
import { mountPlan } from '../context/mount-plan.ts';
import { gitKey } from '../add/git-layers.ts';
import type { CacheKeyFields, StepCache } from '../step-cache.ts';
import { addParts } from '../add/archives.ts';
import type { RootfsProbe } from './rootfs-probe.ts';
import { type Layers, diffIds } from '../layers/layers.ts';
import type { Job } from '../worker/job.ts';
import { ownerKey } from '../copy/owners.ts';
import type { StepWork } from './step-work.ts';

/** A step with the inputs that its cache key and its execution need. */
export interface PreparedStep {
  /** Everything the step depends on, except the layers below it. */
  readonly keyFields: CacheKeyFields;
  readonly work: StepWork;
}

export interface StepPreparerParts {
  readonly job: Job;
  readonly context: Context;
  readonly cache: StepCache;
  readonly probe: RootfsProbe;
  /** Returns the layers of an origin when its stage has ended; undefined if a step has none. */
  readonly fileSystem: (origin: StagePlan['base']) => Promise<Layers | undefined>;
  readonly signal: AbortSignal;
}

/** Prepares the steps of a plan. */
export class StepPreparer {
  readonly #parts: StepPreparerParts;

  constructor(parts: StepPreparerParts) {
    this.#parts = parts;
  }

  /**
   * Waits for the file systems that the step needs, and reads its inputs from them.
   * @returns undefined if an input depends on a step without a layer
   */
  async prepare(step: Step, parent: Layers, platform: string): Promise<PreparedStep | undefined> {
    switch (step.kind) {
      case 'workdir':
        return {
          keyFields: { kind: 'workdir', path: step.path, user: ownerKey(step.user) },
          work: { kind: 'workdir', step },
        };
      case 'run':
        return this.#prepareRun(step, platform);
      case 'copy':
      case 'add':
        return this.#prepareCopy(step, parent);
      default:
        return step satisfies never;
    }
  }

  async #prepareRun(step: RunStep, platform: string): Promise<PreparedStep | undefined> {
    const network = this.#parts.job.network && step.network !== 'none' ? 'host' : 'none';
    const mounts: (Layers | undefined)[] = [];
    for (const { from } of step.mounts) {
      const layers = from.kind === 'context' ? undefined : await this.#parts.fileSystem(from);
      if (layers === undefined && from.kind !== 'context') return undefined;
      mounts.push(layers);
    }
    const inputs = await Promise.all(
      step.mounts.map(async (mount, index) => ({
        type: mount.type,
        target: mount.target,
        readOnly: mount.readOnly,
        // Not the secret itself: a changed one does not rerun the step.
        ...(mount.type === 'secret' || mount.type === 'ssh'
          ? { id: mount.id, env: mount.env, mode: mount.mode, uid: mount.uid, gid: mount.gid }
          : {}),
        // A cache's later content must not change the result, but its initial content may. A step
        // that fills another cache runs again, since a later one may read what it left.
        ...(mount.type === 'cache'
          ? {
              id: mount.id,
              sharing: mount.sharing,
              ...(mount.from.kind === 'scratch'
                ? { mode: mount.mode, uid: mount.uid, gid: mount.gid }
                : { source: mount.source, from: diffIds(mounts[index] ?? []) }),
            }
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
      work: { kind: 'run', step, network, mounts },
    };
  }

  async #prepareCopy(step: CopyStep, parent: Layers): Promise<PreparedStep | undefined> {
    const git = gitSource(step);
    if (git !== undefined) return this.#prepareGit(step, git, parent);
    const { from: origin } = step;
    const from = origin.kind === 'context' ? undefined : await this.#parts.fileSystem(origin);
    if (from === undefined && origin.kind !== 'context') return undefined;
    const isDirectory = await this.#parts.probe.isDirectory(step, parent);
    if (isDirectory === undefined) return undefined;
    const { chmod } = step;
    const chown = step.chown === undefined ? undefined : ownerKey(step.chown);
    const options = { file: this.#parts.job.file, isDirectory: () => isDirectory };
    const parts = from === undefined ? await addParts(step, options, this.#parts) : [];
    const input =
      from === undefined
        ? await this.#partsDigest(parts)
        : await this.#parts.probe.selectionDigest(step, from, isDirectory);
    if (input === undefined) return undefined;
    return {
      keyFields: { kind: 'copy', context: from === undefined, input, chown, chmod },
      work: { kind: 'copy', step, from, isDirectory, parts },
    };
  }

  /**
   * Prepares the files of a commit, which are copied like those of a stage. The commit identifies
   * them before they are fetched.
   */
  async #prepareGit(
    step: CopyStep,
    git: GitSource,
    parent: Layers,
  ): Promise<PreparedStep | undefined> {
    const isDirectory = await this.#parts.probe.isDirectory(step, parent);
    if (isDirectory === undefined) return undefined;
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
      work: {
        kind: 'copy',
        step: { ...step, sources: [all] },
        from: { git: files },
        isDirectory,
        parts: [],
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
        digests.push(await context.digest(part, this.#parts.signal));
        continue;
      }
      const { source, target } = part.archive;
      digests.push(`${await context.contentDigest(source, this.#parts.signal)} ${target}`);
    }
    const [first = '', second] = digests;
    const isPlain = second === undefined && !first.includes(' ');
    return isPlain ? first : digestOf(JSON.stringify(digests));
  }

  async #contextDigest(mount: ResolvedMount): Promise<Digest> {
    const { context } = this.#parts;
    const { entries, files } = mountPlan(context, mount, this.#parts.job.file);
    return context.digest({ entries, files, directories: [] }, this.#parts.signal);
  }
}
