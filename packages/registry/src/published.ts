import { LktError } from '@lkt/core';
import { parseReference, type Store } from '@lkt/oci';
import type { Registry } from './registry.ts';

/**
 * Returns those of the store's tags whose registries have the same image under them. Leaves out a
 * tag whose registry cannot confirm it, and one of docker.io without digest: the store has the
 * images of this machine under such names, and no registry is asked for these.
 */
export async function publishedTags(
  registry: Registry,
  store: Store,
  tags: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const published: string[] = [];
  for (const tag of tags) {
    const reference = parseReference(tag);
    if (reference.domain === 'docker.io' && reference.digest === undefined) continue;
    const own = await store.resolve(tag);
    const theirs = await registry.resolve(reference, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
      return undefined;
    });
    if (own !== undefined && theirs?.digest === own.digest) published.push(tag);
  }
  return published;
}
