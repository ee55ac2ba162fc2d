import { toRaw } from '@lkt/oci';
import type { CopyStep } from '@lkt/dockerfile';
import type { CacheKeyFields } from '../step-cache.ts';
import { type Layers, diffIds } from '../layers/layers.ts';
import type { LookupParts } from './cache-lookup.ts';
import type { OverlayExecutor } from './executor.ts';

/** A fact that a build looked up on the way, by its key. */
export interface KnownAnswer {
  readonly key: string;
  readonly answer: string;
}

/** The caches, and an executor for questions that they cannot answer. */
type RootfsProbeParts = Pick<LookupParts, 'cache' | 'remote'> & {
  readonly executor?: OverlayExecutor;
  readonly signal: AbortSignal;
};

/**
 * Answers the questions about file systems that the cache key of a copy depends on. The cache
 * stores the answers. Without an executor, an answer that no cache has is undefined.
 */
export class RootfsProbe {
  readonly #parts: RootfsProbeParts;
  readonly #answers = new Map<string, string>();

  constructor(parts: RootfsProbeParts) {
    this.#parts = parts;
  }

  /** The answers given. */
  get answers(): readonly KnownAnswer[] {
    return [...this.#answers].map(([key, answer]) => ({ key, answer }));
  }

  /** Returns the digest of the files that a COPY selects in a file system. */
  async selectionDigest(
    step: CopyStep,
    from: Layers,
    isDirectory: boolean,
  ): Promise<string | undefined> {
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

  /** Reports whether the destination of a COPY is a directory, where that matters. */
  async isDirectory(step: CopyStep, parent: Layers): Promise<boolean | undefined> {
    const path = toRaw(step.destination.slice(1));
    if (step.destinationIsDirectory || path === '') return true;
    const fields = { kind: 'is-directory', of: diffIds(parent), path };
    const answer = await this.#remembered(fields, async (executor) =>
      String(await executor.isDirectory(parent, path)),
    );
    return answer === undefined ? undefined : answer === 'true';
  }

  async #remembered(
    fields: CacheKeyFields,
    ask: (executor: OverlayExecutor) => Promise<string>,
  ): Promise<string | undefined> {
    const { cache, executor, remote, signal } = this.#parts;
    const key = cache.key(fields);
    const known = await cache.recall(key);
    const claim = known ?? (await remote?.find(key, signal));
    const answer = typeof claim === 'string' ? claim : executor && (await ask(executor));
    if (answer === undefined) return undefined;
    this.#answers.set(key, answer);
    if (known === undefined) await cache.store(key, answer);
    return answer;
  }
}
