import type { SourceFile } from '@lkt/core';
import type { Layer, Store } from '@lkt/oci';
import { GitFetcher } from '@lkt/git/fetch';
import { type BuildPlan, type GitSource, gitSource } from '@lkt/dockerfile';
import type { BuildContext } from '../engine.ts';
import { fetchSource } from './fetch-source.ts';
import { StepCache } from '../step-cache.ts';

/** Returns the cache key of the files of a git source. It does not depend on the address. */
export function gitKey({ commit, directory, submodules, time }: GitSource): string {
  return [commit, submodules ? 'submodules' : '-', time, directory].join(' ');
}

/**
 * Returns the files that a plan adds from git repositories, as layers by `gitKey`. Fetches those
 * that the store lacks.
 * @throws LktError at the ADD: GIT_FAILED, DIGEST_MISMATCH when the ref leads to another commit,
 * NOT_FOUND
 */
export async function fetchGitFiles(
  plan: BuildPlan,
  file: SourceFile,
  name: string,
  around: BuildContext,
): Promise<ReadonlyMap<string, Layer>> {
  const layers = new Map<string, Layer>();
  const cache = new StepCache(around.store);
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    const source = step.kind === 'add' ? gitSource(step) : undefined;
    if (source === undefined || layers.has(gitKey(source))) continue;
    const key = cache.key({ kind: 'git-files', files: gitKey(source) });
    const layer = await around.store.withLock(
      `git-${key}`,
      async () =>
        (await known(cache, key, around.store)) ??
        fetchSource(name, file, source.source, around, async () => fetched(source, around)),
      around.signal === undefined ? {} : { signal: around.signal },
    );
    await cache.store(key, layer);
    layers.set(gitKey(source), layer);
  }
  return layers;
}

async function known(cache: StepCache, key: string, store: Store): Promise<Layer | undefined> {
  const record = await cache.record(key);
  if (record === undefined || record.descriptor === null) return undefined;
  const { descriptor, diffId } = record;
  return (await store.keep(descriptor.digest)) ? { descriptor, diffId } : undefined;
}

async function fetched(source: GitSource, { store, env, signal }: BuildContext): Promise<Layer> {
  await using directory = await store.tempDir();
  await using fetcher = new GitFetcher(directory.path, env ?? process.env, signal);
  return await fetcher.fetchLayer(source, store);
}
