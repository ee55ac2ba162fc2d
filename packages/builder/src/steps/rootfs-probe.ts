import { toRaw } from '@lkt/oci';
import type { CopyStep } from '@lkt/dockerfile';
import type { KnownAnswer, RemoteStepCache } from '../remote-cache/remote-step-cache.ts';
import type { CacheKeyFields, StepCache } from '../step-cache.ts';
import { type Layers, diffIds } from '../layers/layers.ts';
import { CacheMiss, type StepExecutor } from './step-executor.ts';

export interface RootfsProbeParts {
  readonly cache: StepCache;
  readonly executor?: StepExecutor;
  /** What others have done, without an executor. */
  readonly remote?: RemoteStepCache;
}

/**
 * What has to be known of file systems before a step that copies has a key. An answer is remembered by the cache, and
 * asked of the executor but once.
 *
 * Each method throws CacheMiss if the answer is not known and there is no executor.
 */
export class RootfsProbe {
  readonly #parts: RootfsProbeParts;
  readonly #signal: AbortSignal;
  readonly #answers = new Map<string, string>();

  constructor(parts: RootfsProbeParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** The questions that were asked. */
  get answers(): readonly KnownAnswer[] {
    return [...this.#answers].map(([key, answer]) => ({ key, answer }));
  }

  /** Digest of what a COPY takes from a file system. */
  async selectionDigest(step: CopyStep, from: Layers, isDirectory: boolean): Promise<string> {
    const { sources, files, destination, destinationIsDirectory, parents, exclude } = step;
    const fields = {
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
    return this.#remembered(fields, async (executor) =>
      executor.selectionDigest(step, from, isDirectory),
    );
  }

  /** Whether the destination of a COPY is a directory, where that matters. */
  async isDirectory(step: CopyStep, parent: Layers): Promise<boolean> {
    const path = toRaw(step.destination.slice(1));
    if (step.destinationIsDirectory || path === '') return true;
    const fields = { kind: 'is-directory', of: diffIds(parent), path };
    const answer = await this.#remembered(fields, async (executor) =>
      String(await executor.isDirectory(parent, path)),
    );
    return answer === 'true';
  }

  async #remembered(
    fields: CacheKeyFields,
    ask: (executor: StepExecutor) => Promise<string>,
  ): Promise<string> {
    const { cache, remote } = this.#parts;
    const key = cache.key(fields);
    const known = await cache.recall(key);
    const claim = known ?? (await remote?.find(key, this.#signal));
    const answer = typeof claim === 'string' ? claim : await ask(this.#executor());
    this.#answers.set(key, answer);
    if (known === undefined) await cache.remember(key, answer);
    return answer;
  }

  #executor(): StepExecutor {
    if (this.#parts.executor === undefined) throw new CacheMiss();
    return this.#parts.executor;
  }
}
