import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { type Layer, type RawPath, type Store, toRaw, writeLayer } from '@lkt/oci';
import type { Environment } from '../command.ts';
import { BareRepository } from './bare-repository.ts';
import { CatFile } from './cat-file.ts';
import { type GitCheckout, GitFiles, readCommit } from './commit-files.ts';
import { submoduleAddress } from './submodules.ts';

/** Each may be the address of one within; a repository that is one of its own has no end. */
const MAX_DEPTH = 10;
const MAX_SUBMODULES = 200;

/** The files of a commit in a remote repository. */
export interface RemoteTree {
  /** The address that git fetches from. */
  readonly remote: string;
  /** 40 hexadecimal digits, or 64 in a repository that uses SHA-256. */
  readonly commit: string;
  /** A branch or tag that has to lead to the commit. */
  readonly ref: string | undefined;
  /** The directory whose files are taken, without slashes at its ends; `''` for all. */
  readonly directory: string;
  readonly submodules: boolean;
  /** The time of files: the same for all, or that of the commit. */
  readonly time: 'epoch' | 'commit';
}

/** Fetches commits, each into a repository of its own in a directory. */
export class GitFetcher implements AsyncDisposable {
  readonly #directory: string;
  readonly #env: Environment;
  readonly #signal: AbortSignal | undefined;
  readonly #open: CatFile[] = [];
  #count = 0;

  constructor(directory: string, env: Environment, signal: AbortSignal | undefined) {
    this.#directory = directory;
    this.#env = env;
    this.#signal = signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const objects of this.#open) await objects[Symbol.asyncDispose]();
  }

  async layer(source: RemoteTree, store: Store): Promise<Layer> {
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

  async #repository(commit: string): Promise<BareRepository> {
    this.#count += 1;
    if (this.#count > MAX_SUBMODULES)
      throw new LktError(
        'IMAGE_INVALID',
        `the repository has more than ${MAX_SUBMODULES} submodules`,
      );
    const repository = new BareRepository(join(this.#directory, String(this.#count)), this.#env, {
      protocols: ['https', 'http', 'ssh', 'git'],
      signal: this.#signal,
    });
    await repository.init(commit);
    return repository;
  }

  async #checkout(
    repository: BareRepository,
    remote: string,
    commit: string,
    { submodules, depth }: { submodules: boolean; depth: number },
  ): Promise<{ checkout: GitCheckout; committed: number }> {
    await fetchCommit(repository, remote, commit);
    const objects = new CatFile(repository);
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
  repository: BareRepository,
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
  repository: BareRepository,
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
