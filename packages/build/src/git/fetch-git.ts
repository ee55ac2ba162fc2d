import { join } from 'node:path';
import { LktError, type SourceFile, sourceError } from '@lkt/core';
import { type Layer, type RawPath, type Store, toRaw, writeLayer } from '@lkt/oci';
import type { BuildPlan } from '../dockerfile/steps.ts';
import type { BuildContext } from '../engine.ts';
import { StepCache } from '../step-cache.ts';
import { type Environment, GitRepository } from './git-command.ts';
import { type GitCheckout, GitFiles, readCommit } from './git-files.ts';
import { GitObjects } from './git-objects.ts';
import { type GitSource, gitSource } from './git-source.ts';
import { submoduleAddress } from './git-submodules.ts';

/** Each may be the address of one within; a repository that is one of its own has no end. */
const MAX_DEPTH = 10;
const MAX_SUBMODULES = 200;

/** The name of what a source adds: the same whatever the address is. */
export function gitKey({ commit, directory, submodules, time }: GitSource): string {
  return [commit, submodules ? 'submodules' : '-', time, directory].join(' ');
}

/**
 * The files that a plan takes from git repositories, as layers, by `gitKey`. They are fetched where the store does not
 * have them.
 * @throws LktError at the ADD: GIT_FAILED, DIGEST_MISMATCH when the name leads to another commit, NOT_FOUND
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
      async () => (await known(cache, key, around.store)) ?? fetched(source, file, name, around),
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

async function fetched(
  source: GitSource,
  file: SourceFile,
  name: string,
  around: BuildContext,
): Promise<Layer> {
  const { text, position, length } = source.source;
  const { reporter, signal } = around;
  const id = `${name}:${text}`;
  reporter.emit({ kind: 'start', id, title: `fetch ${text}` });
  try {
    await using directory = await around.store.tempDir();
    await using fetcher = new GitFetcher(directory.path, around.env ?? process.env, signal);
    const layer = await fetcher.layer(source, around.store);
    reporter.emit({ kind: 'done', id, cached: false });
    return layer;
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    signal?.throwIfAborted();
    if (!(error instanceof LktError)) throw error;
    throw sourceError(error.code, file, position, error.message, {
      length,
      cause: error,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
    });
  }
}

/** Fetches commits, each into a repository of its own in a directory. */
class GitFetcher implements AsyncDisposable {
  readonly #directory: string;
  readonly #env: Environment;
  readonly #signal: AbortSignal | undefined;
  readonly #open: GitObjects[] = [];
  #count = 0;

  constructor(directory: string, env: Environment, signal: AbortSignal | undefined) {
    this.#directory = directory;
    this.#env = env;
    this.#signal = signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const objects of this.#open) await objects[Symbol.asyncDispose]();
  }

  async layer(source: GitSource, store: Store): Promise<Layer> {
    const { remote, commit, ref, submodules, directory, time } = source;
    const repository = await this.#repository(commit);
    if (ref !== undefined) await checkRef(repository, remote, ref, commit);
    const { checkout, committed } = await this.#checkout(repository, remote, commit, {
      submodules,
      depth: 0,
    });
    const files = new GitFiles(time === 'commit' ? committed : Number.POSITIVE_INFINITY);
    const entries = files.read(checkout, toRaw(directory));
    return writeLayer(store, entries, this.#signal === undefined ? {} : { signal: this.#signal });
  }

  async #repository(commit: string): Promise<GitRepository> {
    this.#count += 1;
    if (this.#count > MAX_SUBMODULES)
      throw new LktError(
        'IMAGE_INVALID',
        `the repository has more than ${MAX_SUBMODULES} submodules`,
      );
    const repository = new GitRepository(join(this.#directory, String(this.#count)), this.#env, {
      protocols: ['https', 'http', 'ssh', 'git'],
      signal: this.#signal,
    });
    await repository.init(commit);
    return repository;
  }

  async #checkout(
    repository: GitRepository,
    remote: string,
    commit: string,
    { submodules, depth }: { submodules: boolean; depth: number },
  ): Promise<{ checkout: GitCheckout; committed: number }> {
    await fetchCommit(repository, remote, commit);
    const objects = new GitObjects(repository);
    this.#open.push(objects);
    const found = await readCommit(objects, commit);
    if (found === undefined) {
      throw new LktError('NOT_FOUND', `${remote} does not give the commit ${commit}`, {
        fix: 'check the commit; one that no branch and no tag leads to is not given by every server',
      });
    }
    const { tree, time } = found;
    const inner = async (path: RawPath, id: string): Promise<GitCheckout> => {
      if (depth === MAX_DEPTH)
        throw new LktError('IMAGE_INVALID', `submodules are nested more than ${MAX_DEPTH} deep`);
      const address = await submoduleAddress(repository, { tree, path, parent: remote });
      const other = await this.#repository(id);
      const options = { submodules, depth: depth + 1 };
      return (await this.#checkout(other, address, id, options)).checkout;
    };
    const checkout = { objects, tree, submodule: submodules ? inner : undefined };
    return { checkout, committed: time };
  }
}

/** By its name, with nothing of its history, as most servers give it; else with all that branches and tags lead to. */
async function fetchCommit(
  repository: GitRepository,
  remote: string,
  commit: string,
): Promise<void> {
  const fetch = async (depth: readonly string[], specs: readonly string[]): Promise<Buffer> =>
    repository.run(
      [
        ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-gc', ...depth],
        ['--', remote, ...specs],
      ].flat(),
    );
  try {
    await fetch(['--depth=1'], [commit]);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'GIT_FAILED') throw error;
    await fetch([], ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*']);
  }
}

/** Whether a branch or a tag leads to a commit, or, where there are both, one of them. */
async function checkRef(
  repository: GitRepository,
  remote: string,
  ref: string,
  commit: string,
): Promise<void> {
  const names = ref.startsWith('refs/') ? [ref] : [`refs/tags/${ref}`, `refs/heads/${ref}`];
  const wanted = names.flatMap((name) => [name, `${name}^{}`]);
  const answer = await repository.run(['ls-remote', '--quiet', '--', remote, ...wanted]);
  const found = new Map<string, string>();
  for (const line of answer.toString('latin1').split('\n')) {
    const [id = '', name = ''] = line.split('\t');
    if (name !== '') found.set(name, id);
  }
  const commits = names.flatMap((name) => {
    // Of a tag that is an object of its own, what it names.
    const id = found.get(`${name}^{}`) ?? found.get(name);
    return id === undefined ? [] : [id];
  });
  if (commits.includes(commit)) return;
  if (commits.length === 0)
    throw new LktError('NOT_FOUND', `${remote} has no branch and no tag ${ref}`, {
      fix: 'look what there is: git ls-remote',
    });
  throw new LktError(
    'DIGEST_MISMATCH',
    `${ref} of ${remote} is ${commits.join(' and ')}, not ${commit}`,
    {
      fix: 'find out why it has changed; if it is right, write its commit',
    },
  );
}
