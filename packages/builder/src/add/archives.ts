import type { Digest } from '@lkt/core';
import { type RawPath, toRaw } from '@lkt/oci';
import type { Context } from '../context/context.ts';
import {
  type AddPart,
  type CopyStep,
  planAdd,
  planCopy,
  type PlanOptions,
  type RemoteFile,
  remoteFile,
} from '@lkt/dockerfile';
import type { StepCache } from '../step-cache.ts';
import { isArchive } from './archive.ts';

/** Determines which files of the context ADD unpacks. Each content is inspected once. */
export class Archives {
  readonly #context: Context;
  readonly #cache: StepCache;
  readonly #signal: AbortSignal;

  constructor(context: Context, cache: StepCache, signal: AbortSignal) {
    this.#context = context;
    this.#cache = cache;
    this.#signal = signal;
  }

  /** Returns the parts of an ADD or COPY from the context. */
  async parts(step: CopyStep, options: PlanOptions): Promise<readonly AddPart[]> {
    const remote = step.kind === 'add' ? remoteFile(step) : undefined;
    if (remote !== undefined) return [remotePart(step, remote, options)];
    if (step.kind === 'copy' || step.unpack === false || step.parents)
      return [planCopy(step, this.#context, options)];
    const candidates = new Set<RawPath>();
    // The destination does not affect the classification.
    planAdd(step, this.#context, { ...options, isDirectory: () => true }, (source) => {
      candidates.add(source);
      return false;
    });
    const found = new Set<RawPath>();
    for (const source of candidates) if (await this.#isArchive(source)) found.add(source);
    return planAdd(step, this.#context, options, (source) => found.has(source));
  }

  async #isArchive(source: RawPath): Promise<boolean> {
    const node = this.#context.node(source);
    if (node === undefined || node.size === 0) return false;
    const content: Digest = await this.#context.contentDigest(source, this.#signal);
    const key = this.#cache.key({ kind: 'is-archive', content });
    const known = await this.#cache.recall(key);
    if (known !== undefined) return known === 'true';
    const answer = await isArchive(node.source, { signal: this.#signal });
    await this.#cache.remember(key, String(answer));
    return answer;
  }
}

function remotePart(
  step: CopyStep,
  { digest, name }: RemoteFile,
  { isDirectory }: PlanOptions,
): AddPart {
  const destination = toRaw(step.destination.slice(1));
  const isInside = destination === '' || step.destinationIsDirectory || isDirectory(destination);
  const target = isInside
    ? `${destination === '' ? '' : `${destination}/`}${toRaw(name)}`
    : destination;
  return { remote: { digest, target, unpacked: step.unpack === true ? destination : undefined } };
}
